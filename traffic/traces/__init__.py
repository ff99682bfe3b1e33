"""Recorded traffic: a reader and a writer per format, and the arrays they all give."""

from traffic.traces.formats.table import FORMATS, WRITABLE, read_trace, write_trace
from traffic.traces.trace import Trace, TraceError

__all__ = ["FORMATS", "WRITABLE", "Trace", "TraceError", "read_trace", "write_trace"]
