"""One limit: how much is in use, and how long to wait for more.

All arithmetic is on integers, so the time that a 429 tells to wait is exact: a caller who obeys it is let in.
"""

from typing import NamedTuple, Protocol, TypeVar

from sim.time.units import PS_PER_S

PS_PER_MINUTE = 60 * PS_PER_S

R = TypeVar("R")
"""What a kind of meter remembers of a reservation."""


class Rate(NamedTuple):
    """`limit` units in each `window_ps`."""

    limit: int
    window_ps: int = PS_PER_MINUTE
    quantum_ps: int = PS_PER_S
    """How often units come back, where they come in portions; a whole number of times in a window."""


class Meter(Protocol[R]):
    """Times never decrease from call to call."""

    limit: int
    """Units per window."""

    def used(self, now_ps: int) -> int:
        """Whole units in use, rounded up; more than `limit` where more is owed."""
        ...

    def wait_ps(self, now_ps: int, amount: int) -> int | None:
        """How long until `amount` fits if nobody else comes: 0 for at once, None for never."""
        ...

    def take(self, now_ps: int, amount: int) -> None:
        """For good, whether it fits or not."""
        ...

    def reserve(self, now_ps: int, amount: int) -> R:
        """Take what fits, to be settled once."""
        ...

    def settle(self, now_ps: int, reservation: R, unused: int) -> None:
        """Give back what was `unused` of a reservation, as far as this kind of meter does."""
        ...
