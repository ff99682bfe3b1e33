"""inference-perf's per_request_lifecycle_metrics.json: a list of requests, stamps in seconds.

Origin: inference-perf 0.7, reportgen/base.py.
"""

from itertools import pairwise

from e80sim.measured.cells import Cells
from e80sim.measured.files import ReadFile
from e80sim.measured.rows import MeasuredRequest, MeasuredRequests, in_order

MS_PER_S = 1e3


def tells(file: ReadFile) -> bool:
    return not file.is_csv and file.names >= {"start_time", "end_time", "info"}


def read(file: ReadFile) -> MeasuredRequests:
    return in_order(file.path, "inference_perf", [_row(cells) for cells in file.objects])


def _row(cells: Cells) -> MeasuredRequest:
    start_s, end_s = cells.time("start_time"), cells.time("end_time")
    sizes = _tokens(cells, "input_tokens"), _tokens(cells, "output_tokens")
    error = cells.get("error")
    if error is not None:
        told = error.get("error_msg") or error.get("error_type") if isinstance(error, dict) else error
        return MeasuredRequest(start_s, *sizes, error=str(told or "failed"))
    times = cells.get("info.output_token_times")
    stamps = [float(time) for time in times] if isinstance(times, list) else []
    e2e_ms = MS_PER_S * (end_s - start_s)
    if len(stamps) < 2:
        return MeasuredRequest(start_s, *sizes, e2e_ms=e2e_ms)
    first_ms, last_ms = (MS_PER_S * (stamp - start_s) for stamp in (stamps[0], stamps[-1]))
    tpot_ms = (last_ms - first_ms) / (sizes[1] - 1) if sizes[1] > 1 else None
    gaps = (MS_PER_S * (after - before) for before, after in pairwise(stamps))
    return MeasuredRequest(start_s, *sizes, first_ms, tpot_ms, e2e_ms, itl_ms=tuple(gaps))


def _tokens(cells: Cells, name: str) -> int:
    return cells.tokens_or(f"computed_metrics.{name}", 0) or cells.tokens_or(f"info.{name}", 0)
