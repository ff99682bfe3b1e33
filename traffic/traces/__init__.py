"""Recorded traffic: one reader per public format, and the arrays they all give."""

from traffic.traces.formats import FORMATS, read_trace
from traffic.traces.trace import Trace, TraceError

__all__ = ["FORMATS", "Trace", "TraceError", "read_trace"]
