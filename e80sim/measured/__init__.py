"""What load tools and engines measured, request by request: a reader per tool, and one row for all of them.

On the floor, since hardware is fitted to it, reports compare with it and the simulator replays it.
"""

from e80sim.measured.formats import AUTO, FORMATS, holds_requests, read_measured
from e80sim.measured.rows import MeasuredError, MeasuredRequest, MeasuredRequests

__all__ = [
    "AUTO",
    "FORMATS",
    "MeasuredError",
    "MeasuredRequest",
    "MeasuredRequests",
    "holds_requests",
    "read_measured",
]
