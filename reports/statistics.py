"""Estimates with intervals, and the refusal to give one where the data cannot carry it.

Requests of one run are not independent, so an interval never treats them so: it comes from replications, or
in a single replication from blocks in time. Methods: batch means as in Asmussen & Glynn, Stochastic
Simulation (2007), ch. III-IV, and Law, Simulation Modeling and Analysis, ch. 9.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from reports.arrays import Floats, Ints, Mask
from reports.effective import block_edges, blocks_per_replication, time_beyond
from reports.student_t import bent, t_quantile
from reports.words import as_chosen, number

LEVEL = 0.95
CORRELATED_BEYOND = 0.8
"""How requests hang together is told by those above the p80: enough for queues to show, and not yet rare."""
LEAST_EFFECTIVE = 400
"""Independent requests that those of one replication must be worth, for the interval of a mean."""
MEAN_BATCHES = (30, 20)
REQUESTS_PER_BATCH = 10
ONE_REPLICATION = "One replication: one value, and so no interval."


@dataclass(frozen=True, slots=True)
class Batches:
    """Parts of one replication, one after the other, whose spread an interval rests on."""

    count: int
    lag_one: float
    """Correlation of each with the next: above 2/sqrt(count) they are not independent, and none are used."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """`n` counts the observations behind it; `note` says why there is no interval."""

    value: float
    low: float | None
    high: float | None
    n: int
    note: str | None = None
    batches: Batches | None = None
    """None where the interval rests on replications."""

    def within(self, least: float, most: float = math.inf) -> "Estimate":
        """The interval without the part that the quantity cannot take."""
        if self.low is None or self.high is None:
            return self
        return replace(self, low=max(self.low, least), high=min(self.high, most))

    def as_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"value": self.value, "low": self.low, "high": self.high, "n": self.n}
        if self.note is not None:
            found["note"] = self.note
        if self.batches is not None:
            found["batches"] = asdict(self.batches)
        return found


@dataclass(frozen=True, slots=True)
class Refused:
    reason: str

    def as_json(self) -> dict[str, Any]:
        return {"refused": self.reason}


Answer = Estimate | Refused


@dataclass(frozen=True)
class Samples:
    """One number per request, replication after replication, in order of time within each."""

    values: Floats
    starts: Ints
    """Where each replication starts, and the end of the last."""
    replications: tuple[int, ...]
    least: float = -math.inf
    """What the quantity cannot be below, and so no interval of it: cutting it off there loses no coverage."""

    @classmethod
    def of(
        cls, values: Floats, replication: Ints, replications: Sequence[int], least: float = -math.inf
    ) -> "Samples":
        """`replication` in ascending order; values that are not a number are left out."""
        defined = ~np.isnan(values)
        if not defined.all():
            values, replication = values[defined], replication[defined]
        starts = np.searchsorted(replication, [*replications, replications[-1] + 1]).astype(np.int64)
        return cls(values, starts, tuple(replications), least)

    @property
    def counts(self) -> Ints:
        return np.diff(self.starts)

    def without_empty(self) -> "Samples":
        """Without replications that have none."""
        return self.only(one for one, n in zip(self.replications, self.counts, strict=True) if n)

    @cached_property
    def ordered(self) -> Floats:
        """In ascending order: of it all quantiles are read."""
        return np.sort(self.values)

    @cached_property
    def time(self) -> float:
        """Autocorrelation time, in requests; of samples in each replication."""
        # Who asks for nothing else need not keep a second column.
        ordered = self.ordered if "ordered" in self.__dict__ else np.sort(self.values)
        level = float(of_ordered(ordered, [CORRELATED_BEYOND])[0])
        del ordered
        return time_beyond(_replications(self), level)

    def of_replications(self, first: int, end: int) -> Floats:
        return self.values[self.starts[first] : self.starts[end]]

    def only(self, replications: Iterable[int]) -> "Samples":
        """The same samples without the other replications."""
        chosen = [self.replications.index(one) for one in replications]
        if len(chosen) == len(self.replications):
            return self
        parts = [self.of_replications(i, i + 1) for i in chosen]
        starts = np.cumsum([0, *(len(part) for part in parts)])
        return Samples(np.concatenate(parts), starts, tuple(self.replications[i] for i in chosen), self.least)


def quantiles(values: Floats, probabilities: Sequence[float]) -> Floats:
    """Linear interpolation between order statistics at position (n - 1) p, as numpy's default."""
    return of_ordered(np.sort(values), probabilities)


def of_ordered(ordered: Floats, probabilities: Sequence[float]) -> Floats:
    """As `quantiles`, of values in ascending order."""
    positions = np.asarray(probabilities) * (len(ordered) - 1)
    below = np.floor(positions).astype(np.int64)
    low, high = ordered[below], ordered[np.minimum(below + 1, len(ordered) - 1)]
    found: Floats = low + (positions - below) * (high - low)
    return found


def name_of(probability: float) -> str:
    return f"p{as_chosen(probability * 100)}"


def mean(samples: Samples) -> Answer:
    count = len(samples.values)
    if not count:
        return Refused("There is nothing to average: no request got that far.")
    some = samples.without_empty()
    blocks = _replications(some)
    answer = interval_of(means_of(blocks), count) if len(blocks) > 1 else _batch_mean(some)
    return answer.within(samples.least)


def means_of(parts: Sequence[Floats | Mask]) -> Floats:
    """A value per part, whose mean is that of all observations and whose spread gives its interval."""
    sums, counts = [part.sum() for part in parts], [len(part) for part in parts]
    return ratios_of(np.array(sums, np.float64), np.array(counts, np.float64))


def ratios_of(amounts: Floats, per: Floats) -> Floats:
    """A value per part, whose mean is the ratio of the totals.

    The mean of the ratios would give a part in which little happened as much weight as any other, and be off
    where busy parts differ from quiet ones, however many there are. These are the ratio's linearised values:
    Cochran, Sampling Techniques, ch. 6; Law, Simulation Modeling and Analysis, ch. 9.
    """
    ratio = amounts.sum() / per.sum()
    values: Floats = ratio + (amounts - ratio * per) / per.mean()
    return values


def ratio_of(amounts: Floats, per: Floats) -> Estimate:
    """A ratio of totals that are not below 0, from one of each per replication; `per` is not 0 everywhere."""
    if len(per) == 1:
        return Estimate(float(amounts[0] / per[0]), None, None, 1, ONE_REPLICATION)
    return interval_of(ratios_of(amounts, per), len(per)).within(0.0)


def interval_of(values: Floats, count: int, level: float = LEVEL) -> Estimate:
    """The t interval of independent values, one per replication or batch."""
    centre = float(values.mean())
    half = _half_width(values, level)
    return Estimate(centre, centre - half, centre + half, count)


def _half_width(values: Floats, level: float) -> float:
    blocks = len(values)
    return t_quantile(level, blocks - 1) * float(values.std(ddof=1)) / math.sqrt(blocks)


def _replications(samples: Samples) -> list[Floats]:
    return [samples.of_replications(i, i + 1) for i in range(len(samples.replications))]


def _batch_mean(samples: Samples) -> Estimate:
    """Of one replication, from blocks long against the autocorrelation time, their skewness included."""
    values, time = samples.values, samples.time
    centre, count = float(values.mean()), len(values)
    if count < LEAST_EFFECTIVE * time:
        return Estimate(centre, None, None, count, _too_dependent(count, time))
    edges = block_edges(np.array([0, count]), blocks_per_replication(np.array([count]), time))
    means = np.add.reduceat(values, edges[:-1]) / np.diff(edges)
    low, high = _skewed_interval(centre, means)
    return Estimate(centre, low, high, count, batches=Batches(len(means), lag_one(means)))


def _skewed_interval(centre: float, means: Floats) -> tuple[float, float]:
    apart, blocks = means - means.mean(), len(means)
    deviation = float(means.std())
    if deviation == 0:
        return centre, centre
    bend = float((apart**3).mean()) / deviation**3 / math.sqrt(blocks) / 6
    t, error = t_quantile(LEVEL, blocks - 1), deviation / math.sqrt(blocks - 1)
    return centre - error * bent(t, bend), centre - error * bent(-t, bend)


def batches_of(values: Floats) -> tuple[list[Floats], Batches] | str:
    """Successive parts of one replication whose means can pass for independent; else why there are none."""
    count, needed = len(values), MEAN_BATCHES[-1] * REQUESTS_PER_BATCH
    if count < needed:
        return f"One replication of {count:,} requests: an interval needs {needed}."
    correlation = 0.0
    for batches in MEAN_BATCHES:
        parts = np.array_split(values, batches)
        correlation = lag_one(np.array([part.mean() for part in parts]))
        if count >= batches * REQUESTS_PER_BATCH and correlation <= 2 / math.sqrt(batches):
            return parts, Batches(batches, correlation)
    return _still_correlated(correlation)


def lag_one(values: Floats) -> float:
    apart = values - values.mean()
    total = float(apart @ apart)
    return float(apart[:-1] @ apart[1:]) / total if total > 0 else 0.0


def too_few(name: str, needed: int, count: int) -> Refused:
    return Refused(f"{name[0].upper()}{name[1:]} needs at least {needed:,} requests; there are {count:,}.")


def _still_correlated(correlation: float) -> str:
    much = number(correlation, 2)
    return f"Successive batches are still correlated ({much}): use replications or a longer run."


def _too_dependent(count: int, time: float) -> str:
    needed = rounded_up(LEAST_EFFECTIVE * time)
    return (
        f"One replication: the interval of a mean needs about {needed:,} requests; "
        f"the {count:,} there are worth {round(count / time):,} independent ones."
    )


def rounded_up(number: float) -> int:
    """To two digits. A number of two digits stays itself where rounding has left it a last bit too large."""
    unit = int(10 ** max(0, math.floor(math.log10(number)) - 1))
    return math.ceil(number / unit - 1e-6) * unit
