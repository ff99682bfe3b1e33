"""Limits of requests and tokens in a window of time, decided together in one step: `docs/limits.md`."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sim.platform.charges import CHARGES, Admit, Settle
from sim.platform.meter import Meter, Rate
from sim.platform.quantised_bucket import QuantisedBucket
from sim.platform.token_bucket import TokenBucket
from sim.platform.window_meters import FixedWindow, SlidingWindow


class Refusal(NamedTuple):
    """Why the platform said no."""

    cause: str
    """A key of `sim.platform.ticket.REJECTED`."""
    limit: int
    used: int
    requested: int
    retry_after_ps: int | None
    """None where waiting does not help, or nobody knows how long."""


class Room(NamedTuple):
    """What the rate-limit headers tell of one quantity; `reset` is the time until nothing is used."""

    limit: int
    remaining: int
    reset_ps: int


Headroom = dict[str, Room]
"""By quantity, of those that are limited."""


class Cost(NamedTuple):
    """What limits count of a request: what it may take at most, or what it took."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    """Of the input. Nobody knows them before the request is served."""

    def without_cached(self) -> "Cost":
        return Cost(self.input_tokens - self.cached_tokens, self.output_tokens)


NOTHING = Cost(0, 0)

QUANTITIES: dict[str, Callable[[Cost], int]] = {
    "requests": lambda _cost: 1,
    "tokens": lambda cost: cost.input_tokens + cost.output_tokens,
    "input_tokens": lambda cost: cost.input_tokens,
    "output_tokens": lambda cost: cost.output_tokens,
    "uncached_tokens": lambda cost: cost.input_tokens - cost.cached_tokens + cost.output_tokens,
}
"""What can be limited. Of several that refuse, the first is the cause."""

ALGORITHMS: dict[str, Callable[[Rate], Meter[Any]]] = {
    "token_bucket": TokenBucket,
    "sliding_window": SlidingWindow,
    "fixed_window": FixedWindow,
    "quantised": QuantisedBucket,
}
"""What makes a meter of a rate. A new one is a class and a line here: docs/extending.md."""


class Limit(NamedTuple):
    """Of one quantity."""

    quantity: str
    amount: Callable[[Cost], int]
    meter: Meter[Any]
    needs: Callable[[int], int] | None
    admit: Admit
    settle: Settle | None
    """These three as `Charge` has them."""

    @classmethod
    def of(
        cls,
        quantity: str,
        rate: Rate,
        algorithm: str = "token_bucket",
        charge: str = "settled",
        *,
        cached_free: bool = False,
    ) -> "Limit":
        amount = QUANTITIES[quantity]
        # A request counts as one when it comes, whatever becomes of it.
        when = CHARGES["reserved" if quantity == "requests" else charge]
        counted = _without_cached(amount) if cached_free else amount
        meter = ALGORITHMS[algorithm](rate)
        settle = None if when.settle is None else when.settle(meter)
        return cls(quantity, counted, meter, when.needs, when.admit(meter), settle)

    def wait_ps(self, now_ps: int, cost: Cost) -> int | None:
        amount = self.amount(cost)
        return self.meter.wait_ps(now_ps, amount if self.needs is None else self.needs(amount))

    def room(self, now_ps: int) -> Room:
        meter = self.meter
        reset_ps = meter.wait_ps(now_ps, meter.limit)  # when the whole limit would fit
        assert reset_ps is not None
        return Room(meter.limit, max(0, meter.limit - meter.used(now_ps)), reset_ps)


def _without_cached(amount: Callable[[Cost], int]) -> Callable[[Cost], int]:
    return lambda cost: amount(cost.without_cached())


class Limiter:
    """All limits that one owner has together on one model."""

    __slots__ = ("limits", "open")

    def __init__(self, limits: Sequence[Limit]) -> None:
        self.limits = limits
        self.open = 0
        """Grants to be settled."""

    def is_as_new(self, now_ps: int) -> bool:
        """Nothing is in use and nothing can come back: one made now would give the same answers for ever."""
        return not (self.open or any(limit.meter.used(now_ps) for limit in self.limits))


class Grant(NamedTuple):
    """What was taken of limits for a request, until it ends."""

    limiters: Sequence[Limiter]
    parts: Sequence[tuple[Limit, Settle, int, Any]]
    """Of those that are settled: each with what was reserved, and what its charge remembers."""

    def settle(self, now_ps: int, taken: Cost) -> None:
        """Once."""
        for limit, settle, reserved, remembered in self.parts:
            settle(now_ps, remembered, reserved, limit.amount(taken))
        for limiter in self.limiters:
            limiter.open -= 1


def reserve(limiters: Sequence[Limiter], now_ps: int, cost: Cost) -> Grant | Refusal:
    """Take `cost` from all limits of all `limiters`, or nothing at all."""
    asked = []
    for limiter in limiters:
        for limit in limiter.limits:
            amount, needs = limit.amount(cost), limit.needs
            if limit.meter.wait_ps(now_ps, amount if needs is None else needs(amount)) != 0:
                return _refusal([one for limiter in limiters for one in limiter.limits], now_ps, cost)
            asked.append((limit, amount))
    parts = []
    for limit, amount in asked:
        remembered, settle = limit.admit(now_ps, amount), limit.settle
        if settle is not None:
            parts.append((limit, settle, amount, remembered))
    for limiter in limiters:
        limiter.open += 1
    return Grant(limiters, parts)


def wait_ps(limiters: Sequence[Limiter], now_ps: int, cost: Cost) -> int | None:
    """Until all limits have room for `cost` if nobody else comes: 0 for at once, None for never."""
    longest_ps = 0
    for limiter in limiters:
        for limit in limiter.limits:
            span_ps = limit.wait_ps(now_ps, cost)
            if span_ps is None:
                return None
            longest_ps = max(longest_ps, span_ps)
    return longest_ps


def headroom(limiters: Sequence[Limiter], now_ps: int) -> Headroom | None:
    """Of each quantity that limit which has least left; None where nothing is limited."""
    found: Headroom = {}
    for limiter in limiters:
        for limit in limiter.limits:
            room, other = limit.room(now_ps), found.get(limit.quantity)
            if other is None or room.remaining < other.remaining:
                found[limit.quantity] = room
    return found or None


def _refusal(limits: Sequence[Limit], now_ps: int, cost: Cost) -> Refusal:
    """The cause is one that no waiting helps, else the first that refuses; the longest wait is told."""
    waits_ps = [limit.wait_ps(now_ps, cost) for limit in limits]
    hopeless = None in waits_ps
    limit = limits[waits_ps.index(None) if hopeless else next(i for i, wait in enumerate(waits_ps) if wait)]
    return Refusal(
        limit.quantity,
        limit.meter.limit,
        limit.meter.used(now_ps),
        limit.amount(cost),
        None if hopeless else max(span_ps for span_ps in waits_ps if span_ps is not None),
    )
