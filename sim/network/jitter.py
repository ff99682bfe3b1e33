"""Delay above the floor of a round trip, split into a part per connection and a part per message.

Independent draws per message would reorder TCP. Both families split exactly: the two parts together have the
distribution that the hop states, whatever the share of the message.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import exp, expm1, sqrt

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class _Jitter(ABC):
    __slots__ = ()

    @property
    @abstractmethod
    def mean_ms(self) -> float: ...
    @property
    @abstractmethod
    def variance_ms2(self) -> float: ...


class Adding(_Jitter):
    """Its two parts add."""

    __slots__ = ()

    @abstractmethod
    def part_ms(self, rng: Generator, share: float, size: tuple[int, ...]) -> FloatArray:
        """`share` of it."""


class Scaling(_Jitter):
    """Its two parts multiply."""

    __slots__ = ()

    @abstractmethod
    def base_ms(self, rng: Generator, share: float, size: tuple[int, ...]) -> FloatArray:
        """`share` of it, in time: the part of the connection."""

    @abstractmethod
    def factor(self, rng: Generator, share: float, size: tuple[int, ...]) -> FloatArray:
        """`share` of it, as a factor around 1: the part of a message."""


Jitter = Adding | Scaling


@dataclass(frozen=True, slots=True)
class Gamma(Adding):
    """Gamma variates of one scale add by their shapes."""

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
class Lognormal(Scaling):
    """The logarithms of the parts are normal and add."""

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


FAMILIES: dict[str, type[Gamma] | type[Lognormal]] = {"gamma": Gamma, "lognormal": Lognormal}
"""By the word of the catalogue, whose values `jitter_...` are the fields."""
