"""How many turns a chat has, or calls an agent makes at once. Every draw is at least 1."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import chain, count
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from e80sim.choices import OneOf, by_kind
from traffic.spec import Spec
from traffic.units import IntArray

MOST = 1000
DRAWS_AT_ONCE = 256


class CountDistribution(Spec, ABC):
    kind: str

    @abstractmethod
    def sample(self, rng: np.random.Generator, n: int) -> IntArray:
        """`n` draws, each from 1 to MOST."""

    @property
    @abstractmethod
    def mean_count(self) -> float:
        """Of a draw."""

    def draws(self, rng: np.random.Generator) -> Iterator[int]:
        """Draw 0, 1, 2 ... without end."""
        return chain.from_iterable(self.sample(rng, DRAWS_AT_ONCE).tolist() for _ in count())


class FixedCount(CountDistribution):
    kind: Literal["fixed"] = "fixed"
    count: int = Field(ge=1, le=MOST)

    def sample(self, rng: np.random.Generator, n: int) -> IntArray:
        del rng  # nothing is random here
        return np.full(n, self.count, dtype=np.int64)

    @property
    def mean_count(self) -> float:
        return float(self.count)


class GeometricCount(CountDistribution):
    """After each one there is another with the same probability. A draw above `most` is `most`.

    One uniform variate each, so that variants with another mean stay paired.
    """

    kind: Literal["geometric"] = "geometric"
    mean: float = Field(ge=1, le=MOST, description="of draws that nothing cuts")
    most: int = Field(MOST, ge=1, le=MOST, description="where draws are cut")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.mean > self.most:
            raise ValueError(f"the mean {self.mean:g} is above most, {self.most}")
        return self

    def sample(self, rng: np.random.Generator, n: int) -> IntArray:
        left = 1.0 - rng.random(n)  # in (0, 1]
        if self.mean == 1:
            return np.ones(n, dtype=np.int64)
        # P(count > k) = goes_on**k, so the count is 1 + floor(log(left) / log(goes_on)).
        found = 1 + np.floor(np.log(left) / np.log1p(-1 / self.mean))
        counts: IntArray = np.minimum(found, self.most).astype(np.int64)
        return counts

    @property
    def mean_count(self) -> float:
        return float(self.mean * (1.0 - (1.0 - 1.0 / self.mean) ** self.most))


COUNTS: dict[str, type[CountDistribution]] = by_kind(FixedCount, GeometricCount)
"""By kind. A new one is a class with `sample` and `mean_count`, and a place here."""
CountDraw = Annotated[CountDistribution, OneOf(COUNTS)]
