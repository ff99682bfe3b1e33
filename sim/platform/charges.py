"""When a limit is charged for a request: by what is reserved for it, by what it really took, or both."""

from collections.abc import Callable
from typing import Any, NamedTuple

from sim.platform.meter import Meter


class Charge(NamedTuple):
    needs: Callable[[int], int]
    """What must fit for a request to be let in, from what it may take at most."""
    admit: Callable[[Meter[Any], int, int], Any]
    """At a time, for what it may take: returns what `settle` gets back."""
    settle: Callable[[Meter[Any], int, Any, int, int], None]
    """At a time, from what `admit` returned, what was reserved and what was taken."""


def _all(amount: int) -> int:
    return amount


def _any(amount: int) -> int:
    return min(1, amount)


def _reserve(meter: Meter[Any], now_ps: int, amount: int) -> object:
    return meter.reserve(now_ps, amount)


def _take(meter: Meter[Any], now_ps: int, amount: int) -> None:
    meter.take(now_ps, amount)


def _take_nothing(_meter: Meter[Any], _now_ps: int, _amount: int) -> None: ...


def _correct(meter: Meter[Any], now_ps: int, reservation: object, reserved: int, taken: int) -> None:
    meter.settle(now_ps, reservation, max(0, reserved - taken))
    if taken > reserved:
        meter.take(now_ps, taken - reserved)


def _leave(_meter: Meter[Any], _now_ps: int, _nothing: object, _reserved: int, _taken: int) -> None: ...


def _charge(meter: Meter[Any], now_ps: int, _nothing: object, _reserved: int, taken: int) -> None:
    meter.take(now_ps, taken)


CHARGES: dict[str, Charge] = {
    "settled": Charge(_all, _reserve, _correct),
    "reserved": Charge(_all, _take, _leave),
    "actual": Charge(_any, _take_nothing, _charge),
}
"""`settled`: reserved when it is let in, and corrected when it ends. `reserved`: never corrected. `actual`:
let in while anything is left, and charged when it ends."""
