"""When a limit is charged for a request: by what is reserved for it, by what it really took, or both."""

from collections.abc import Callable
from typing import Any, NamedTuple

from sim.platform.meter import Meter

Admit = Callable[[int, int], Any]
"""At a time, for what a request may take: returns what `Settle` gets back."""
Settle = Callable[[int, Any, int, int], None]
"""At a time, from what `Admit` returned, what was reserved and what was taken."""


class Charge(NamedTuple):
    """What a meter is asked is settled when the meter is made: each request meets every limit."""

    needs: Callable[[int], int] | None
    """What must fit for a request to be let in, from what it may take at most; None: all of that."""
    admit: Callable[[Meter[Any]], Admit]
    settle: Callable[[Meter[Any]], Settle] | None
    """None: what was taken when it was let in stays taken."""


def _any(amount: int) -> int:
    return min(1, amount)


def _reserve(meter: Meter[Any]) -> Admit:
    return meter.reserve


def _take(meter: Meter[Any]) -> Admit:
    return meter.take


def _take_nothing(_meter: Meter[Any]) -> Admit:
    return lambda _now_ps, _amount: None


def _correct(meter: Meter[Any]) -> Settle:
    settle, take = meter.settle, meter.take

    def correct(now_ps: int, reservation: object, reserved: int, taken: int) -> None:
        settle(now_ps, reservation, max(0, reserved - taken))
        if taken > reserved:
            take(now_ps, taken - reserved)

    return correct


def _charge(meter: Meter[Any]) -> Settle:
    return lambda now_ps, _nothing, _reserved, taken: meter.take(now_ps, taken)


CHARGES: dict[str, Charge] = {
    "settled": Charge(None, _reserve, _correct),
    "reserved": Charge(None, _take, None),
    "actual": Charge(_any, _take_nothing, _charge),
}
"""`settled`: reserved when it is let in, and corrected when it ends. `reserved`: never corrected. `actual`:
let in while anything is left, and charged when it ends."""
