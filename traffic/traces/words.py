"""What is said of traces, also by who reads none."""

from e80sim.mistakes import UserError

AUTO = "auto"
"""The format that a file's first row tells of."""


class TraceError(UserError):
    """A sentence that names the file, the line and the offending value."""
