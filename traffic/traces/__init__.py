"""Recorded traffic: a reader and a writer per format, and the arrays they all give."""

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
from traffic.traces.trace import Trace, TraceError

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
