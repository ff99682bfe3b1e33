"""When a client sends a copy of a request that has no token yet."""

from bisect import bisect_left, insort
from collections import deque
from math import ceil
from typing import Protocol

LAST = 1000
"""So many times are remembered."""
ENOUGH = 100
"""Before so many are known nobody can say what is slow."""


class Hedging(Protocol):
    most: int
    """Copies of one ask."""

    def delay_ps(self) -> int | None:
        """How long a request may be without a token; None: for ever."""
        ...

    def took(self, span_ps: int) -> None:
        """An ask had its first token, or its answer in one piece, so long after its attempt was sent.

        The copies count from there too: a request that needed one was slow, however fast the copy was.
        """
        ...


class FixedDelay:
    def __init__(self, delay_ps: int, most: int) -> None:
        self._delay_ps = delay_ps
        self.most = most

    def delay_ps(self) -> int:
        return self._delay_ps

    def took(self, span_ps: int) -> None: ...


class SlowerThanMost:
    """The quantile of the last times, by nearest rank: 0.95 hedges about a twentieth of the requests."""

    def __init__(self, quantile: float, most: int) -> None:
        self._quantile = quantile
        self.most = most
        self._times: deque[int] = deque()
        self._sorted: list[int] = []

    def delay_ps(self) -> int | None:
        count = len(self._sorted)
        return None if count < ENOUGH else max(1, self._sorted[ceil(self._quantile * count) - 1])

    def took(self, span_ps: int) -> None:
        if len(self._times) == LAST:
            del self._sorted[bisect_left(self._sorted, self._times.popleft())]
        self._times.append(span_ps)
        insort(self._sorted, span_ps)


def hedging_of(delay_ps: int | None, quantile: float | None, most: int) -> Hedging:
    """One of the two is stated."""
    if delay_ps is not None:
        return FixedDelay(delay_ps, most)
    assert quantile is not None
    return SlowerThanMost(quantile, most)
