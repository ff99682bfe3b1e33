"""What is wrong with a path at present: nothing gets through, or more gets lost than usual.

A message is judged when it is sent: what is under way when an outage begins still arrives.
"""

from typing import NamedTuple

from numpy.random import Generator

from sim.network.transport import NEVER_LOST, retransmission_ps
from sim.time.units import PS_PER_S

LONGEST_RTO_PS = 120 * PS_PER_S
"""Linux doubles a time-out up to this (`TCP_RTO_MAX`)."""
MOST_TRIES = 15
"""Linux gives a segment up after so many (`tcp_retries2`); here the last one gets through."""


class Outage(NamedTuple):
    """Nothing gets through before `until_ps`."""

    since_ps: int
    until_ps: int
    resets: bool
    """Whoever sends is told so at once, instead of trying again and again."""


class Burst(NamedTuple):
    """Each segment is lost with this probability, beside what the path loses anyway."""

    loss: float
    rng: Generator


class Trouble:
    """Of one path, for all connections over it. While nothing is wrong it costs a look at an empty list."""

    __slots__ = ("active",)

    def __init__(self) -> None:
        self.active: list[Outage | Burst] = []

    @property
    def resets(self) -> bool:
        return any(isinstance(one, Outage) and one.resets for one in self.active)

    def open_until(self, now_ps: int) -> int:
        """The latest time up to `now_ps` of which somebody at its end has heard."""
        return min([now_ps, *(one.since_ps for one in self.active if isinstance(one, Outage))])

    def wait_ps(self, now_ps: int, rto_ps: int) -> int:
        """How long it is until the first try that gets through: after time-outs that double (RFC 6298)."""
        until_ps = max((one.until_ps for one in self.active if isinstance(one, Outage)), default=now_ps)
        waited_ps = 0
        while now_ps + waited_ps < until_ps:
            waited_ps += rto_ps
            rto_ps = min(2 * rto_ps, LONGEST_RTO_PS)
        return waited_ps

    def first_lost(self) -> int:
        """Number of the first segment that is lost, from 1 on."""
        draws = [int(one.rng.geometric(one.loss)) for one in self.active if isinstance(one, Burst)]
        return min(draws, default=NEVER_LOST)

    def lost_ps(self, segments: int, rtt_ps: int, rto_ps: int) -> int:
        """What losses add to a message; the segment that is sent again can be lost again."""
        first_lost = self.first_lost()
        if first_lost > segments:
            return 0
        added_ps = retransmission_ps(first_lost, segments, rtt_ps, rto_ps)
        for _ in range(MOST_TRIES):
            if self.first_lost() > 1:
                break
            rto_ps = min(2 * rto_ps, LONGEST_RTO_PS)
            added_ps += rto_ps
        return added_ps
