"""AIPerf's profile_export.jsonl: a JSON object per request, its stamps in ns since 1970.

`inter_token_latency` there leaves out as many tokens as came in the first chunk; here the time per output
token is made of the latency and the time to the first token. Origin: aiperf 0.13, `profile_export.jsonl`.
"""

from collections.abc import Iterator

from e80sim.measured.cells import Cells
from e80sim.measured.files import ReadFile
from e80sim.measured.rows import MeasuredError, MeasuredRequest, MeasuredRequests, in_order, per_token_ms

MS_PER_UNIT = {"ms": 1.0, "ns": 1e-6, "us": 1e-3, "sec": 1e3, "s": 1e3}
NS_PER_S = 10**9
MEASURED = "profiling"
"""The phase that counts; the other one is the warm-up."""


def tells(file: ReadFile) -> bool:
    return not file.is_csv and file.names >= {"metadata", "metrics"} and "request_start_ns" in _metadata(file)


def _metadata(file: ReadFile) -> dict[str, object]:
    value = file.objects[0].get("metadata")
    return value if isinstance(value, dict) else {}


def read(file: ReadFile) -> MeasuredRequests:
    counted = [
        cells for cells in file.objects if (cells.text("metadata.benchmark_phase") or MEASURED) == MEASURED
    ]
    if not counted:
        raise file.error("it holds no requests of the phase that is measured, only of the warm-up")
    origin_ns = min(_stamp_ns(cells) for cells in counted)
    left_out = len(file.objects) - len(counted)
    told = "1 request of the warm-up is" if left_out == 1 else f"{left_out:,} requests of the warm-up are"
    notes = [f"{told} left out."] if left_out else []
    return in_order(file.path, "aiperf_jsonl", [_row(cells, origin_ns) for cells in counted], notes)


def _row(cells: Cells, origin_ns: int) -> MeasuredRequest:
    arrival_s = (_stamp_ns(cells) - origin_ns) / NS_PER_S
    input_tokens = _count(cells, "input_sequence_length", "usage_prompt_tokens")
    error = _error(cells)
    if error is not None:
        return MeasuredRequest(arrival_s, input_tokens, 0, error=error)
    output = _count(cells, "output_sequence_length", "usage_completion_tokens")
    ttft_ms, e2e_ms = _ms(cells, "time_to_first_token"), _ms(cells, "request_latency")
    cached = "metrics.usage_prompt_cache_read_tokens.value"
    return MeasuredRequest(
        arrival_s,
        input_tokens,
        output,
        ttft_ms,
        per_token_ms(ttft_ms, e2e_ms, output),
        e2e_ms,
        cells.tokens(cached) if cells.get(cached) is not None else None,
        tuple(_gaps_ms(cells)),
    )


def _stamp_ns(cells: Cells) -> int:
    value = cells.get("metadata.request_start_ns")
    if type(value) is not int or value < 0:
        raise cells.error(f"metadata.request_start_ns is {value!r}, expected a whole number of ns")
    return value


def _error(cells: Cells) -> str | None:
    error = cells.get("error")
    if isinstance(error, dict):
        return str(error.get("message") or error.get("type") or "failed")
    if error is None and cells.get("metadata.was_cancelled") is True:
        return "cancelled"
    return None if error is None else str(error)


def _count(cells: Cells, *names: str) -> int:
    """Of the first that there is; 0 where there is none."""
    for name in names:
        if cells.get(f"metrics.{name}.value") is not None:
            return cells.tokens(f"metrics.{name}.value")
    return 0


def _ms(cells: Cells, name: str) -> float | None:
    time = cells.optional_time(f"metrics.{name}.value")
    return None if time is None else time * _factor(cells, name)


def _factor(cells: Cells, name: str) -> float:
    unit = cells.text(f"metrics.{name}.unit") or "ms"
    if unit not in MS_PER_UNIT:
        raise MeasuredError(
            f"{cells.where}: metrics.{name}.unit is {unit!r}, expected {', '.join(MS_PER_UNIT)}"
        )
    return MS_PER_UNIT[unit]


def _gaps_ms(cells: Cells) -> Iterator[float]:
    name = "inter_chunk_latency"
    gaps = cells.get(f"metrics.{name}.value")
    for gap in gaps if isinstance(gaps, list) else ():
        yield float(gap) * _factor(cells, name)
