"""What a load tool measured, as traffic to be sent again: when its requests were sent, and their sizes."""

from pathlib import Path

from traffic.traces.trace import Trace, TraceRows
from traffic.traces.words import TraceError
from traffic.units import PS_PER_S

KEYS = frozenset({"request_throughput", "metrics", "benchmarks", "first_token_ts"})
"""Of one that a first row may have: vLLM's bench, AIPerf, GuideLLM, LLMServingSim's bench."""


def read_measured_traffic(path: Path, limit_rows: int | None = None) -> Trace:
    """The first `limit_rows` by their arrival. Requests that failed had no answer, and are left out."""
    from e80sim.measured import MeasuredError, read_measured  # noqa: PLC0415 -- other traces do without

    try:
        measured = read_measured(path)
    except MeasuredError as problem:
        raise TraceError(str(problem)) from None
    rows = TraceRows(path)
    for place, row in enumerate(measured.rows[:limit_rows], 1):
        at_ps = round(row.arrival_s * PS_PER_S)
        output = row.output_tokens if row.error is None else 0
        rows.add(place, f"{row.arrival_s:g} s", at_ps, row.input_tokens, output)
    return rows.trace(measured.notes)
