"""`vllm bench serve --save-result --save-detailed`: one JSON object, its arrays a place per request.

Times are in seconds, from when the client sent, which is after its own `--max-concurrency`.
Origin: vllm/benchmarks/serve.py of vllm 0.33.
"""

from collections.abc import Iterator, Mapping, Sequence

from e80sim.measured.cells import Cells
from e80sim.measured.files import ReadFile
from e80sim.measured.rows import MeasuredRequest, MeasuredRequests, in_order, per_token_ms

ARRAYS = ("input_lens", "output_lens", "ttfts", "itls", "start_times", "errors")
"""Needed; without --save-detailed the file has none of them."""
LATENCIES, HELD = "latencies", "queue_times"
"""Of newer versions."""
LIMIT, LIMIT_OPTION = "max_concurrency", "--max-concurrency"
HELD_S = 0.01
"""A request that the client sent later than this was held back."""
MS_PER_S = 1e3


def tells(file: ReadFile) -> bool:
    return not file.is_csv and file.names >= {"completed", "request_throughput", "duration"}


def read(file: ReadFile) -> MeasuredRequests:
    if len(file.objects) > 1:
        raise file.error(f"it holds {len(file.objects)} results, one behind the other: keep one of them")
    result = file.objects[0]
    missing = [name for name in ARRAYS if name not in file.names]
    if missing:
        raise file.error(
            f"a result of vllm bench serve without {', '.join(missing)}: make it with --save-detailed"
        )
    names = [*ARRAYS, *({LATENCIES, HELD} & file.names)]
    arrays = {name: result.list(name) for name in names}
    requests = len(arrays["start_times"])
    for name, values in arrays.items():
        if len(values) != requests:
            raise file.error(f"{name} has {len(values)} places, and start_times {requests}")
    rows = [
        _row(Cells(f"{result.where} request {place}", {name: arrays[name][place] for name in arrays}))
        for place in range(requests)
    ]
    notes = [*_notes(arrays), *_limit(result)]
    return in_order(file.path, "vllm_bench", _with_starts(rows), notes)


def _row(cells: Cells) -> MeasuredRequest:
    start_s, sizes = cells.time("start_times"), (cells.tokens("input_lens"), cells.tokens("output_lens"))
    error = cells.text("errors")
    if error is not None or not sizes[1]:
        return MeasuredRequest(start_s, *sizes, error=error or "no output tokens")
    gaps_s = [gap for gap in cells.list("itls") if isinstance(gap, int | float)]
    ttft_s = cells.time("ttfts")
    e2e_s = cells.optional_time(LATENCIES)
    e2e_ms = MS_PER_S * (ttft_s + sum(gaps_s) if e2e_s is None else e2e_s)
    ttft_ms = MS_PER_S * ttft_s if ttft_s else None  # 0 of answers that were not streamed
    return MeasuredRequest(
        start_s,
        *sizes,
        ttft_ms,
        per_token_ms(ttft_ms, e2e_ms, sizes[1]),
        e2e_ms or None,
        itl_ms=tuple(MS_PER_S * gap for gap in gaps_s),
    )


def _with_starts(rows: Sequence[MeasuredRequest]) -> Iterator[MeasuredRequest]:
    """Some of its backends stamp no request that fails: such a one is left out, nobody knows when it came."""
    yield from (row for row in rows if row.arrival_s or row.error is None)


def _limit(result: Cells) -> Iterator[str]:
    most = result.get(LIMIT)
    if isinstance(most, int):
        yield f"The client had at most {most:,} requests under way: `{LIMIT_OPTION} {most}` replays it so."


def _notes(arrays: Mapping[str, Sequence[object]]) -> Iterator[str]:
    stamps = zip(arrays["start_times"], arrays["errors"], strict=True)
    unstamped = sum(not start_s and bool(error) for start_s, error in stamps)
    if unstamped:
        yield f"{unstamped:,} failed requests without a stamp are left out."
    held_s = [wait for wait in arrays.get(HELD, ()) if isinstance(wait, float) and wait > HELD_S]
    if held_s:
        yield (
            f"The client held {len(held_s):,} requests back, up to {max(held_s):.3g} s, before it sent them: "
            f"times count from the sending."
        )
