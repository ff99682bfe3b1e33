"""Recorded traffic: a reader and a writer per format, and the arrays they all give."""

from typing import TYPE_CHECKING, Any

from traffic.traces.words import TraceError

if TYPE_CHECKING:
    from traffic.traces.formats.table import (
        FORMATS,
        read_recording,
        read_trace,
        writable,
        writable_sessions,
        write_recording,
        write_trace,
    )
    from traffic.traces.recording import Recording
    from traffic.traces.trace import Trace

__all__ = [
    "FORMATS",
    "Recording",
    "Trace",
    "TraceError",
    "read_recording",
    "read_trace",
    "writable",
    "writable_sessions",
    "write_recording",
    "write_trace",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 -- whatever the module has
    """What reads and writes files comes when it is asked for: most scenarios replay none."""
    if name in __all__:
        from traffic.traces.formats import table  # noqa: PLC0415

        return getattr(table, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
