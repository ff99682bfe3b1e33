"""Lengths of a service that counted them in buckets, as metrics of servers do."""

from itertools import pairwise
from typing import Literal, Self

import numpy as np
from numpy.random import Generator
from pydantic import Field, model_validator

from traffic.length_distribution import LengthDistribution
from traffic.spec import Spec, Tokens
from traffic.units import FloatArray, IntArray

SUMMED_TOKENS = 4096
"""Up to this width the mean of a bucket is summed token by token, beyond it integrated."""


class LengthBucket(Spec):
    up_to: Tokens = Field(
        description="its longest length; it begins behind that of the bucket before, or at 1"
    )
    share: float = Field(
        ge=0, le=1e15, description="of the requests, relative to the other buckets: counts will do"
    )


class HistogramLength(LengthDistribution):
    """Lengths by buckets.

    In a bucket of W tokens a draw is the whole number above W * v**(1/k), v uniform and k = within /
    (1 - within): 0.5 spreads it evenly, more leans to the bucket's end.
    """

    kind: Literal["histogram"] = "histogram"
    buckets: tuple[LengthBucket, ...] = Field(strict=False, min_length=1, max_length=10_000)
    within: float = Field(
        default=0.5, ge=0.01, le=0.99, description="where in its bucket a length lies on average; 0.5: evenly"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        edges = [bucket.up_to for bucket in self.buckets]
        for before, after in pairwise(edges):
            if after <= before:
                raise ValueError(f"up_to {after} follows {before}: buckets come one after the other")
        if not any(bucket.share for bucket in self.buckets):
            raise ValueError("every share of the buckets is 0: no request would have a length")
        return self

    def sample(self, rng: Generator, n: int) -> IntArray:
        """One uniform variate per draw: where it falls among the shares says the bucket, and where in it."""
        ends = np.cumsum(self._shares)
        at = rng.random(n) * ends[-1]
        place = np.minimum(np.searchsorted(ends, at, side="right"), np.flatnonzero(self._shares)[-1])
        inside = (at - (ends - self._shares)[place]) / self._shares[place]
        widths = self._widths[place]
        steps = np.ceil(widths * np.clip(inside, 0.0, 1.0) ** (1 / self._k)).astype(np.int64)
        drawn: IntArray = self._edges[place] - widths + np.clip(steps, 1, widths)
        return drawn

    @property
    def mean_tokens(self) -> float:
        """To within 0.1 % of a wide bucket, and exactly of narrow ones."""
        means = [_mean_step(int(width), self._k) for width in self._widths]
        lows = self._edges - self._widths
        return float(self._shares @ (lows + np.array(means)) / self._shares.sum())

    @property
    def least_tokens(self) -> int:
        first = int(np.argmax(self._shares > 0))
        return int(self._edges[first] - self._widths[first] + 1)

    @property
    def _k(self) -> float:
        return self.within / (1 - self.within)

    @property
    def _shares(self) -> FloatArray:
        return np.array([bucket.share for bucket in self.buckets], dtype=np.float64)

    @property
    def _edges(self) -> IntArray:
        return np.array([bucket.up_to for bucket in self.buckets], dtype=np.int64)

    @property
    def _widths(self) -> IntArray:
        return np.diff(self._edges, prepend=0)


def fitted_within(lengths: HistogramLength, mean_tokens: float) -> float:
    """Of these buckets the `within` that gives them this mean, or the nearest that there is. By bisection."""
    low, high = 0.01, 0.99
    for _ in range(40):
        middle = (low + high) / 2
        if lengths.model_copy(update={"within": middle}).mean_tokens < mean_tokens:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _mean_step(width: int, k: float) -> float:
    """Of the whole number above width * v**(1/k): the sum of the chances to be above 0, 1, 2 ..."""
    if width <= SUMMED_TOKENS:
        below: FloatArray = (np.arange(width) / width) ** k
        return float(width - below.sum())
    return width * k / (k + 1) + 0.5
