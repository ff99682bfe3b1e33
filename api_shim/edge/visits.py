"""What users' requests to an application came to, and what serving them cost beside it."""

from api_shim.clocks.histogram import Histogram
from api_shim.tracing.app_trace import AppTrace


class Visits:
    """Of all the lives of one application; in picoseconds of the client's clock."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.traces: list[AppTrace] = []
        """Of those requests."""
        self.answered = 0
        self.failed = 0
        """It was not there, or went away before it had answered."""
        self.app = Histogram()
        """From when it was given a request until it began to answer."""
        self.overhead = Histogram()
        """How late a request was given to it, and its answer to the user."""
