"""Latencies of the latest requests of each source, as the report of the run will have them.

Not vLLM's: from when the caller sent until it had the first token or the last one, in simulated time.
"""

from array import array
from collections import Counter
from typing import NamedTuple

import numpy as np

from api_shim.exchange.exchange import Exchange
from reports.columns import Floats
from sim.time.units import s_of_ps

LATEST = 2000
"""Answered requests whose latencies are kept: twice as many as a p99 needs."""
LATENCIES = ("TTFT", "TPOT", "E2E")


class SourceKey(NamedTuple):
    """All three are names of the scenario, so there are no more of them than it has."""

    model_id: str
    source: str
    place: str


class Latest:
    """The last values of what may go on for ever."""

    __slots__ = ("_values", "seen")

    def __init__(self) -> None:
        self.seen = 0
        self._values = array("d")

    def add(self, value: float) -> None:
        if self.seen < LATEST:
            self._values.append(value)
        else:
            self._values[self.seen % LATEST] = value
        self.seen += 1

    def in_order(self) -> Floats:
        """A copy, the oldest first."""
        begins = self.seen % LATEST if self.seen > LATEST else 0
        return np.roll(np.array(self._values, np.float64), -begins)


class SourceTally:
    def __init__(self) -> None:
        self.answered = 0
        self.refused: Counter[str] = Counter()
        """By cause; lost and left by their callers, too."""
        self.latest = {name: Latest() for name in LATENCIES}

    def observe(self, exchange: Exchange) -> None:
        """Once for each request, at its end."""
        call, ticket = exchange.call, exchange.call.ticket
        if not exchange.answered or ticket is None:
            self.refused[call.unanswered_for] += 1
            return
        self.answered += 1
        request, latest = call.request, self.latest
        e2e_ps = ticket.ended_ps - request.intended_ps
        latest["E2E"].add(s_of_ps(e2e_ps))
        if request.stream:  # others see no token before the end
            ttft_ps = ticket.first_seen_ps - request.intended_ps
            latest["TTFT"].add(s_of_ps(ttft_ps))
            if request.output_tokens > 1:
                latest["TPOT"].add(s_of_ps(e2e_ps - ttft_ps) / (request.output_tokens - 1))
