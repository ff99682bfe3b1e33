"""From one trace to another: other times, then a file in another format."""

from dataclasses import replace

import numpy as np

from traffic.traces.spread import spread_evenly
from traffic.traces.trace import MAX_SPAN_PS, Trace
from traffic.traces.words import TraceError
from traffic.units import as_written, nearest


def sped_up(trace: Trace, speed: float) -> Trace:
    """At `speed` 2 it takes half its time. Each arrival is the picosecond nearest to its exact time."""
    exact = as_written(speed)
    if trace.span_ps * exact.denominator > MAX_SPAN_PS * exact.numerator:
        raise TraceError(f"at speed {speed:g} {trace.name} would span more than 106 days")
    times_ps = [nearest(at_ps * exact.denominator, exact.numerator) for at_ps in trace.arrival_ps.tolist()]
    arrival_ps = np.array(times_ps, dtype=np.int64)
    return replace(trace, arrival_ps=arrival_ps)


def spread_out(trace: Trace) -> Trace:
    """Rows that share a stamp at equal distances until the clock's next tick."""
    return replace(trace, arrival_ps=spread_evenly(trace.arrival_ps))
