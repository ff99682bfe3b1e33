"""Delay above the floor of a round trip, split into a part per connection and a part per message.

Independent draws per message would reorder TCP. Both families split exactly: the two parts together have the
distribution that the hop states, whatever the share of the message.
"""

from dataclasses import dataclass
from math import exp, expm1, sqrt

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Gamma:
    """The parts add: gamma variates of one scale do so by their shapes."""

    shape: float
    scale_ms: float

    @property
    def mean_ms(self) -> float:
        return self.shape * self.scale_ms

    @property
    def variance_ms2(self) -> float:
        return self.shape * self.scale_ms**2

    def part_ms(self, rng: Generator, share: float, size: tuple[int, ...]) -> FloatArray:
        return rng.gamma(self.shape * share, self.scale_ms, size)


@dataclass(frozen=True, slots=True)
class Lognormal:
    """The parts multiply: their logarithms are normal and add."""

    median_ms: float
    sigma: float

    @property
    def mean_ms(self) -> float:
        return self.median_ms * exp(self.sigma**2 / 2)

    @property
    def variance_ms2(self) -> float:
        return self.mean_ms**2 * expm1(self.sigma**2)

    def base_ms(self, rng: Generator, share: float, size: tuple[int, ...]) -> FloatArray:
        return self.median_ms * self.factor(rng, share, size)

    def factor(self, rng: Generator, share: float, size: tuple[int, ...]) -> FloatArray:
        return rng.lognormal(0.0, self.sigma * sqrt(share), size)


Jitter = Gamma | Lognormal
