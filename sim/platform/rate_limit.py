"""Requests-per-minute and tokens-per-minute limits, decided together in one step: `docs/limits.md`."""

from collections.abc import Callable
from typing import Any, NamedTuple

from sim.platform.meter import Meter
from sim.platform.token_bucket import TokenBucket
from sim.platform.window_meters import FixedWindow, SlidingWindow


class Refusal(NamedTuple):
    """Why the gateway said no."""

    cause: str
    """`requests`, `tokens` or `context`."""
    limit: int
    used: int
    requested: int
    retry_after_ps: int | None
    """None where waiting does not help."""


class Headroom(NamedTuple):
    """What the rate-limit headers tell; `reset` is the time until nothing is used."""

    limit_requests: int
    remaining_requests: int
    reset_requests_ps: int
    limit_tokens: int
    remaining_tokens: int
    reset_tokens_ps: int


ALGORITHMS: dict[str, Callable[[int], Meter[Any]]] = {
    "token_bucket": TokenBucket,
    "sliding_window": SlidingWindow,
    "fixed_window": FixedWindow,
}
"""What makes a meter of a limit. A new one is a class and a line here: docs/extending.md."""


class Grant(NamedTuple):
    """A request's tokens, reserved until it ends."""

    limiter: "Limiter"
    reservation: Any
    reserved: int

    def settle(self, now_ps: int, tokens: int) -> None:
        """Once; `tokens` is what was really processed: prompt and output."""
        meter = self.limiter.tokens
        meter.settle(now_ps, self.reservation, max(0, self.reserved - tokens))
        if tokens > self.reserved:
            meter.take(now_ps, tokens - self.reserved)
        self.limiter.open -= 1


class Limiter:
    """Both limits of one key or project on one model."""

    __slots__ = ("open", "requests", "tokens")

    def __init__(self, algorithm: str, requests_per_minute: int, tokens_per_minute: int) -> None:
        meter = ALGORITHMS[algorithm]
        self.requests: Meter[Any] = meter(requests_per_minute)
        self.tokens: Meter[Any] = meter(tokens_per_minute)
        self.open = 0
        """Grants to be settled."""

    def reserve(self, now_ps: int, tokens: int) -> Grant | Refusal:
        """Take one request and `tokens` tokens, or nothing at all."""
        waits = self.requests.wait_ps(now_ps, 1), self.tokens.wait_ps(now_ps, tokens)
        if waits != (0, 0):
            cause, meter, amount = (
                ("tokens", self.tokens, tokens) if waits[0] == 0 else ("requests", self.requests, 1)
            )
            wait_ps = None if None in waits else max(wait for wait in waits if wait is not None)
            return Refusal(cause, meter.limit, meter.used(now_ps), amount, wait_ps)
        self.requests.take(now_ps, 1)
        self.open += 1
        return Grant(self, self.tokens.reserve(now_ps, tokens), tokens)

    def is_as_new(self, now_ps: int) -> bool:
        """Nothing is in use and nothing can come back: one made now would give the same answers for ever."""
        return not (self.open or self.requests.used(now_ps) or self.tokens.used(now_ps))

    def headroom(self, now_ps: int) -> Headroom:
        return Headroom(*_headroom(self.requests, now_ps), *_headroom(self.tokens, now_ps))


def _headroom(meter: Meter[Any], now_ps: int) -> tuple[int, int, int]:
    """(limit, remaining, time until nothing is used), which is when the whole limit would fit."""
    reset_ps = meter.wait_ps(now_ps, meter.limit)
    assert reset_ps is not None
    return meter.limit, max(0, meter.limit - meter.used(now_ps)), reset_ps
