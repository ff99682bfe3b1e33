"""Requests-per-minute and tokens-per-minute limits, decided together in one step.

All arithmetic is on integers, so the time that a 429 tells to wait is exact: a caller who obeys it is let in.
"""

from collections import deque
from typing import NamedTuple, Protocol

PS_PER_MINUTE = 60 * 10**12


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


class Charge:
    """What one request took from a meter, so that part of it can be given back."""

    __slots__ = ("amount", "at_ps")

    def __init__(self, at_ps: int, amount: int) -> None:
        self.at_ps = at_ps
        self.amount = amount


class Meter(Protocol):
    """One limit of `limit` units per minute."""

    limit: int

    def used(self, now_ps: int) -> int:
        """Whole units in use, rounded up."""
        ...

    def wait_ps(self, now_ps: int, amount: int) -> int | None:
        """How long until `amount` fits: 0 for at once, None for never."""
        ...

    def take(self, now_ps: int, amount: int) -> Charge: ...

    def settle(self, now_ps: int, charge: Charge, amount: int) -> None:
        """Replace what was charged by `amount`."""
        ...

    def reset_ps(self, now_ps: int) -> int:
        """How long until nothing is used."""
        ...


class TokenBucket:
    """Holds a minute's worth and refills linearly: what OpenAI's 429 messages imply."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._used = 0  # in units of 1/PS_PER_MINUTE, so that a refill of `limit` per minute is an integer
        self._at_ps = 0

    def _refill(self, now_ps: int) -> int:
        self._used = max(0, self._used - self.limit * (now_ps - self._at_ps))
        self._at_ps = now_ps
        return self._used

    def used(self, now_ps: int) -> int:
        return -(-self._refill(now_ps) // PS_PER_MINUTE)

    def wait_ps(self, now_ps: int, amount: int) -> int | None:
        if amount > self.limit:
            return None
        excess = self._refill(now_ps) + (amount - self.limit) * PS_PER_MINUTE
        return max(0, -(-excess // self.limit))

    def take(self, now_ps: int, amount: int) -> Charge:
        self._used = self._refill(now_ps) + amount * PS_PER_MINUTE
        return Charge(now_ps, amount)

    def settle(self, now_ps: int, charge: Charge, amount: int) -> None:
        self._used = max(0, self._refill(now_ps) + (amount - charge.amount) * PS_PER_MINUTE)
        charge.amount = amount

    def reset_ps(self, now_ps: int) -> int:
        return -(-self._refill(now_ps) // self.limit)


class SlidingWindow:
    """At most `limit` in any minute: a charge counts for sixty seconds from when it was made."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._charges: deque[Charge] = deque()
        self._used = 0

    def _expire(self, now_ps: int) -> int:
        charges = self._charges
        while charges and charges[0].at_ps <= now_ps - PS_PER_MINUTE:
            self._used -= charges.popleft().amount
        return self._used

    def used(self, now_ps: int) -> int:
        return self._expire(now_ps)

    def wait_ps(self, now_ps: int, amount: int) -> int | None:
        if amount > self.limit:
            return None
        excess = self._expire(now_ps) + amount - self.limit
        if excess <= 0:
            return 0
        for charge in self._charges:
            excess -= charge.amount
            if excess <= 0:
                return charge.at_ps + PS_PER_MINUTE - now_ps
        raise AssertionError("the charges sum up to what is used")

    def take(self, now_ps: int, amount: int) -> Charge:
        charge = Charge(now_ps, amount)
        self._charges.append(charge)
        self._used += amount
        return charge

    def settle(self, now_ps: int, charge: Charge, amount: int) -> None:
        self._expire(now_ps)
        if charge.at_ps > now_ps - PS_PER_MINUTE:
            self._used += amount - charge.amount
            charge.amount = amount

    def reset_ps(self, now_ps: int) -> int:
        self._expire(now_ps)
        return self._charges[-1].at_ps + PS_PER_MINUTE - now_ps if self._used else 0


class FixedWindow:
    """A counter that starts again at every whole minute."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._minute = 0
        self._used = 0

    def used(self, now_ps: int) -> int:
        minute = now_ps // PS_PER_MINUTE
        if minute != self._minute:
            self._minute, self._used = minute, 0
        return self._used

    def wait_ps(self, now_ps: int, amount: int) -> int | None:
        if amount > self.limit:
            return None
        return 0 if self.used(now_ps) + amount <= self.limit else PS_PER_MINUTE - now_ps % PS_PER_MINUTE

    def take(self, now_ps: int, amount: int) -> Charge:
        self._used = self.used(now_ps) + amount
        return Charge(now_ps, amount)

    def settle(self, now_ps: int, charge: Charge, amount: int) -> None:
        if charge.at_ps // PS_PER_MINUTE == now_ps // PS_PER_MINUTE:
            self._used = self.used(now_ps) + amount - charge.amount
            charge.amount = amount

    def reset_ps(self, now_ps: int) -> int:
        return PS_PER_MINUTE - now_ps % PS_PER_MINUTE if self.used(now_ps) else 0


ALGORITHMS: dict[str, type[TokenBucket] | type[SlidingWindow] | type[FixedWindow]] = {
    "token_bucket": TokenBucket,
    "sliding_window": SlidingWindow,
    "fixed_window": FixedWindow,
}


class Grant(NamedTuple):
    """A request's reservation, to be settled when it ends."""

    limiter: "Limiter"
    tokens: Charge

    def settle(self, now_ps: int, tokens: int) -> None:
        """`tokens` is what was really processed: prompt and output."""
        self.limiter.tokens.settle(now_ps, self.tokens, tokens)


class Limiter:
    """Both limits of one key or project on one model."""

    def __init__(self, algorithm: str, requests_per_minute: int, tokens_per_minute: int) -> None:
        meter = ALGORITHMS[algorithm]
        self.requests: Meter = meter(requests_per_minute)
        self.tokens: Meter = meter(tokens_per_minute)

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
        return Grant(self, self.tokens.take(now_ps, tokens))

    def headroom(self, now_ps: int) -> Headroom:
        requests, tokens = self.requests, self.tokens
        return Headroom(
            requests.limit,
            max(0, requests.limit - requests.used(now_ps)),
            requests.reset_ps(now_ps),
            tokens.limit,
            max(0, tokens.limit - tokens.used(now_ps)),
            tokens.reset_ps(now_ps),
        )
