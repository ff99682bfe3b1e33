"""Many callers behind one source, a few of which make most of its requests.

In ServeGen's four services 50 % of the traffic comes from 7 of 162, 1 of 109, 2 of 43 and 5 of 73 clients
(github.com/alibaba/ServeGen, Apache-2.0): what a limit per key or project meets is the busiest of them.
"""

from collections.abc import Iterator
from itertools import chain, count
from typing import Self

import numpy as np
from numpy.random import Generator
from pydantic import Field, model_validator

from traffic.spec import Spec
from traffic.units import BLOCK, FloatArray


class Clients(Spec):
    """Client i sends in proportion to 1 / (i + 1)**s; `busiest_half` says how steep that is."""

    count: int = Field(ge=1, le=1_000_000, description="how many there are")
    busiest_half: int | None = Field(
        default=None,
        ge=1,
        le=500_000,
        description="so many of them make half of the requests; absent: all send alike",
    )

    @model_validator(mode="after")
    def _at_most_half(self) -> Self:
        if self.busiest_half is not None and 2 * self.busiest_half > self.count:
            raise ValueError(
                f"busiest_half is {self.busiest_half} of {self.count} clients, but the busiest "
                f"{self.count // 2} already make half of the requests when all send alike"
            )
        return self

    def shares(self) -> FloatArray:
        """Of the requests, the busiest client first; they add to 1."""
        busiest = self.busiest_half
        return zipf_shares(self.count, 0.0 if busiest is None else self._exponent(busiest))

    def draw(self, rng: Generator) -> Iterator[int]:
        """The client of request 0, 1, 2 ...: independent, so a Poisson source splits into Poisson clients.

        One uniform variate each: variants with other shares stay paired.
        """
        below = np.cumsum(self.shares())[:-1]
        return chain.from_iterable(
            np.searchsorted(below, rng.random(BLOCK), side="right").tolist() for _ in count()
        )

    def _exponent(self, busiest: int) -> float:
        """By bisection: the share of the busiest grows with s, to nearly all of it at 64."""
        low, high = 0.0, 64.0
        for _ in range(60):
            middle = (low + high) / 2
            if zipf_shares(self.count, middle)[:busiest].sum() < 0.5:
                low = middle
            else:
                high = middle
        return (low + high) / 2


def zipf_shares(n: int, exponent: float) -> FloatArray:
    weights: FloatArray = np.arange(1, n + 1, dtype=np.float64) ** -exponent
    shares: FloatArray = weights / weights.sum()
    return shares
