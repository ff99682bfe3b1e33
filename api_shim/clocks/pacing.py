"""Can the wall clock be believed? Only while the server's own lateness is small beside what it simulates."""

from api_shim.clocks.histogram import Histogram
from reports.text import milliseconds
from sim.time.units import PS_PER_S

PACED_SHARE = 0.1
"""Lateness at p99 may be this much of the simulated TTFT at p50."""


class Pacing:
    def __init__(self, content_is_paced: bool) -> None:
        self.lateness = Histogram()
        self.ttft = Histogram()
        self._content_is_paced = content_is_paced

    @property
    def paced(self) -> bool:
        return self.why_not() is None

    def why_not(self) -> str | None:
        """A sentence that says why wall times of this run are not those of the model, None where they are."""
        if not self._content_is_paced:
            return "not paced: the words came from an upstream server, which took its own time"
        late_ps, ttft_ps = self.lateness.quantile(0.99), self.ttft.quantile(0.5)
        if late_ps is None or ttft_ps is None or late_ps <= PACED_SHARE * ttft_ps:
            return None
        late_ms, ttft_ms = milliseconds(late_ps / PS_PER_S), milliseconds(ttft_ps / PS_PER_S)
        return (
            f"not paced: answers were {late_ms} ms late at p99, more than a tenth of the simulated TTFT of "
            f"{ttft_ms} ms at p50; read the simulated stamps, or lower the load or the speed"
        )
