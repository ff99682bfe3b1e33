"""How long people think, tools run and programs take, in seconds.

Draw i takes the i-th variate of its generator, whatever the parameters and however many are asked for at
once: variants that change a duration stay paired draw by draw.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import chain, count
from math import exp, log
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from e80sim.choices import OneOf, by_kind
from traffic.spec import Spec
from traffic.units import PS_PER_S, FloatArray

MOST_S = 86_400.0
"""A day: nobody thinks longer, and no tool is waited for so long."""
DRAWS_AT_ONCE = 256


class DurationDistribution(Spec, ABC):
    kind: str

    @abstractmethod
    def sample_s(self, rng: np.random.Generator, n: int) -> FloatArray:
        """`n` draws of seconds, none negative and none above MOST_S."""

    @property
    @abstractmethod
    def mean_s(self) -> float:
        """Of a draw, about: what is clipped may be left out."""

    def draws_ps(self, rng: np.random.Generator, at_once: int = DRAWS_AT_ONCE) -> Iterator[int]:
        """Draw 0, 1, 2 ... in whole picoseconds, without end."""
        blocks = (np.rint(self.sample_s(rng, at_once) * PS_PER_S).astype(np.int64) for _ in count())
        return chain.from_iterable(block.tolist() for block in blocks)


class FixedDuration(DurationDistribution):
    kind: Literal["fixed"] = "fixed"
    s: float = Field(ge=0, le=MOST_S, description="seconds")

    def sample_s(self, rng: np.random.Generator, n: int) -> FloatArray:
        del rng  # nothing is random here
        return np.full(n, self.s)

    @property
    def mean_s(self) -> float:
        return self.s


class ExponentialDuration(DurationDistribution):
    """Memoryless, as queueing theory likes it. A draw above a day is a day."""

    kind: Literal["exponential"] = "exponential"
    mean: float = Field(ge=0, le=MOST_S, description="seconds")

    def sample_s(self, rng: np.random.Generator, n: int) -> FloatArray:
        return np.minimum(rng.exponential(self.mean, n), MOST_S)

    @property
    def mean_s(self) -> float:
        return self.mean


class LognormalDuration(DurationDistribution):
    """Clipped to [low, high], as `lengths` of this kind are."""

    kind: Literal["lognormal"] = "lognormal"
    median: float = Field(ge=0.000_001, le=MOST_S, description="seconds")
    sigma: float = Field(ge=0, le=10, description="standard deviation of the natural logarithm")
    low: float = Field(0.0, ge=0, le=MOST_S, description="seconds")
    high: float = Field(MOST_S, ge=0, le=MOST_S, description="seconds")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.low <= self.median <= self.high:
            raise ValueError(
                f"the median {self.median:g} must lie between low {self.low:g} and high {self.high:g} "
                f"(included)"
            )
        return self

    def sample_s(self, rng: np.random.Generator, n: int) -> FloatArray:
        return np.clip(rng.lognormal(log(self.median), self.sigma, n), self.low, self.high)

    @property
    def mean_s(self) -> float:
        return min(self.high, self.median * exp(self.sigma**2 / 2))


DURATIONS: dict[str, type[DurationDistribution]] = by_kind(
    FixedDuration, ExponentialDuration, LognormalDuration
)
"""By kind. A new one is a class with `sample_s` and `mean_s`, and a place here."""
DurationDraw = Annotated[DurationDistribution, OneOf(DURATIONS)]
