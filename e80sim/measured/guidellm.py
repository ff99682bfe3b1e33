"""GuideLLM's JSON report: requests of a benchmark by how they ended.

Its `time_per_output_token_ms` has the first token inside, so that the time per output token is taken from
`inter_token_latency_ms`, which is (last - first token) / (n - 1). Origin: guidellm 0.8.1, metadata.version 2.
"""

from collections.abc import Iterator

from e80sim.measured.cells import Cells
from e80sim.measured.files import ReadFile
from e80sim.measured.rows import MeasuredRequest, MeasuredRequests, in_order

MS_PER_S = 1e3
STATUSES = ("successful", "incomplete", "errored")


def tells(file: ReadFile) -> bool:
    return not file.is_csv and file.names >= {"metadata", "benchmarks"}


def read(file: ReadFile) -> MeasuredRequests:
    benchmarks = list(file.objects[0].objects("benchmarks"))
    if len(benchmarks) != 1:
        raise file.error(f"it holds {len(benchmarks)} benchmarks: keep one of them")
    (benchmark,) = benchmarks
    rows = [row for status in STATUSES for row in _rows(benchmark, status)]
    return in_order(file.path, "guidellm", rows)


def _rows(benchmark: Cells, status: str) -> Iterator[MeasuredRequest]:
    if benchmark.get(f"requests.{status}") is None:
        return
    for cells in benchmark.objects(f"requests.{status}"):
        if cells.get("request_start_time") is None:
            continue  # it was never sent
        sizes = cells.tokens_or("prompt_tokens", 0), cells.tokens_or("output_tokens", 0)
        start_s = cells.time("request_start_time")
        if status != "successful":
            yield MeasuredRequest(start_s, *sizes, error=cells.text("info.error") or status)
            continue
        e2e_s = cells.optional_time("request_latency")
        yield MeasuredRequest(
            start_s,
            *sizes,
            cells.optional_time("time_to_first_token_ms"),
            cells.optional_time("inter_token_latency_ms"),
            None if e2e_s is None else MS_PER_S * e2e_s,
            cells.tokens("cached_tokens") if cells.get("cached_tokens") is not None else None,
        )
