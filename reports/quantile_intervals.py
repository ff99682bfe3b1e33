"""A quantile of all requests, with an interval that holds it as often as it says, or why there is none.

The share of requests beyond the quantile varies between independent blocks: replications, or parts of them in
time. How far the quantile may be off is read back through the order statistics of all requests: the test of
"is x the quantile?" inverted, so an interval is as lopsided as the tail. The mean of the replications' own
quantiles would be too low: each misses what is rare, and on that they agree.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from reports.columns import Floats, Ints
from reports.effective import block_edges, blocks_per_replication
from reports.sample_size import requests_needed
from reports.statistics import (
    LEVEL,
    Answer,
    Batches,
    Estimate,
    Samples,
    lag_one,
    name_of,
    ratios_of,
    rounded_up,
    too_few,
)
from reports.student_t import bent, t_of_freedom

EFFECTIVE_BEYOND = 2
"""An interval wants so many times the observations beyond a quantile that its value does, all independent."""
LEAST_EFFECTIVE = 100
LEAST_BLOCKS = 3
KURTOSIS = 3.0
"""Requests beyond a level come in heaps. The number of a compound Poisson process with heaps of exponential
size has the excess kurtosis 6 over that of heaps, and two heaps are worth one independent request."""
SKEWNESS = 0.5
"""Of the share beyond, times the root of the independent requests there: what is left of a heap's 1.5 where
the same heaps tell the spread, as `make coverage` shows."""


class Reach(NamedTuple):
    """How far the true probability of the sample's quantile may be from the one that was asked for."""

    below: float
    above: float
    freedom: float
    """Of Student's t in it."""


class Side(NamedTuple):
    """A quantile, and what a difference to another one needs."""

    answer: Estimate
    moves: Floats
    """By block, how the quantile would move if all were like it, 0 on average; none without an interval."""
    freedom: float
    grain: float = 0.0
    """How far the quantile moves for one request more or less beyond it: shares are of whole requests."""


@dataclass(frozen=True, slots=True)
class Pooled:
    """All requests in ascending order, and how they hang together in time."""

    samples: Samples
    """Of replications none of which is empty."""

    @property
    def blocks(self) -> Ints:
        """How many each replication is cut into."""
        return blocks_per_replication(self.samples.counts, self.samples.time)

    def side(self, probability: float, blocks: Ints, level: float = LEVEL) -> Side:
        ordered = self.samples.ordered
        value, count = at(ordered, probability), len(ordered)
        edges = block_edges(self.samples.starts, blocks)
        shares = self._shares_beyond(value, edges)
        reach = reach_of(shares, probability, level)
        low, high = probability - reach.below, probability + reach.above
        if why := self._refusal(probability, reach, len(shares)):
            return Side(Estimate(value, None, None, count, why), np.empty(0), 0.0)
        ends = at(ordered, low), at(ordered, high)
        batches = Batches(len(shares), lag_one(shares)) if len(blocks) == 1 else None
        slope = (ends[1] - ends[0]) / (high - low) if high > low else 0.0
        return Side(
            Estimate(value, *ends, count, batches=batches), shares * slope, reach.freedom, slope / count
        )

    def _shares_beyond(self, value: float, edges: Ints) -> Floats:
        """By block, less the share of all: how that would move if every block were like this one."""
        above = (self.samples.values > value).view(np.int8)
        beyond = np.add.reduceat(above, edges[:-1], dtype=np.int64)
        shares = ratios_of(beyond.astype(np.float64), np.diff(edges).astype(np.float64))
        apart: Floats = shares - shares.mean()
        return apart

    def _refusal(self, probability: float, reach: Reach, blocks: int) -> str:
        """Why there is no interval; empty where there is one."""
        count, name = len(self.samples.values), name_of(probability)
        wanted = max(LEAST_EFFECTIVE, EFFECTIVE_BEYOND * requests_needed(probability))
        worth = count / self.samples.time
        if worth < wanted:
            return (
                f"The interval of a {name} needs about {rounded_up(count * wanted / worth):,} requests: "
                f"the {count:,} there are worth {round(worth):,} independent ones; {wanted:,} are wanted."
            )
        if blocks < LEAST_BLOCKS:
            return f"The interval of a {name} needs {LEAST_BLOCKS} replications, or longer ones."
        short = max(reach.below / probability, reach.above / (1 - probability))
        if short >= 1:
            needed = rounded_up(count * short * short)
            return (
                f"The interval of a {name} needs about {needed:,} requests: of the {count:,} there, those "
                "beyond it vary too much between replications or batches."
            )
        return ""


def quantile_answers(samples: Samples, probabilities: Sequence[float]) -> list[Answer]:
    """Of all requests of all replications; the interval rests on how their share beyond varies."""
    count = len(samples.values)
    answers: list[Answer] = [too_few(f"a {name_of(p)}", requests_needed(p), count) for p in probabilities]
    enough = [i for i, p in enumerate(probabilities) if count >= requests_needed(p)]
    if enough:
        pooled = Pooled(samples.without_empty())
        for i in enough:
            answers[i] = pooled.side(probabilities[i], pooled.blocks).answer
    return answers


def reach_of(shares: Floats, probability: float, level: float = LEVEL) -> Reach:
    """From the shares beyond a quantile of independent blocks, which average to 0.

    Their skewness bends Student's t; their kurtosis costs the variance degrees of freedom, of which normal
    values would leave it one less than there are blocks.
    """
    blocks = len(shares)
    variance = float(shares @ shares) / max(blocks - 1, 1) / blocks
    if blocks == 1 or variance == 0:
        return Reach(0.0, 0.0, 1.0)
    worth = probability * (1 - probability) / variance * min(probability, 1 - probability)
    freedom = max(1.0, 2 / (2 / (blocks - 1) + KURTOSIS / worth))
    t, deviation, bend = t_of_freedom(level, freedom), math.sqrt(variance), SKEWNESS / math.sqrt(worth) / 6
    near, far = deviation * bent(t, bend), -deviation * bent(-t, bend)
    return Reach(near, far, freedom) if probability >= 0.5 else Reach(far, near, freedom)


def at(ordered: Floats, probability: float) -> float:
    """Linear interpolation between order statistics at position (n - 1) p."""
    position = probability * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return float(ordered[below] + (position - below) * (ordered[above] - ordered[below]))
