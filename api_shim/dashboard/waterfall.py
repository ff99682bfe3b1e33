"""Where the spans of a trace lie beside each other."""

from dataclasses import dataclass

from api_shim.store.traces import Trace

WIDTH = 1000.0
"""Of all of the trace, in the units of the drawing."""
THINNEST = 2.0
"""A span that takes no time is seen all the same."""
MOST_BARS = 500
TICKS = 5


@dataclass(frozen=True, slots=True)
class Bar:
    name: str
    what: str
    """Which completion, on which node, of how many tokens."""
    x: float
    width: float
    after_ps: int
    """From the beginning of the trace."""
    lasted_ps: int


def bars(trace: Trace) -> list[Bar]:
    """In the order of their beginning."""
    whole_ps = max([trace.row.duration_ps, *(span.ended_ps - trace.began_ps for span in trace.spans), 1])
    per_ps = WIDTH / whole_ps
    found = []
    for span in trace.spans[:MOST_BARS]:
        after_ps, lasted_ps = span.began_ps - trace.began_ps, span.ended_ps - span.began_ps
        width = max(THINNEST, lasted_ps * per_ps)
        x = min(max(0.0, after_ps * per_ps), WIDTH - width)
        what = ", ".join(f"{name} {value}" for name, value in span.attributes.items())
        found.append(Bar(span.name, what, round(x, 2), round(width, 2), after_ps, lasted_ps))
    return found


def ticks(trace: Trace) -> list[int]:
    """Times after the beginning, evenly spread over all of it."""
    return [trace.row.duration_ps * step // (TICKS - 1) for step in range(TICKS)]
