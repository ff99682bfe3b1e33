"""Estimates with intervals, and the refusal to give one where the data cannot carry it.

Requests of one run are not independent, so an interval never treats them so: it comes from replications, or
in a single replication from batches in time. Methods and thresholds: batch means and sectioning as in
Asmussen & Glynn, Stochastic Simulation (2007), ch. III-IV, and Law, Simulation Modeling and Analysis, ch. 9.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from reports.columns import Floats, Ints
from reports.student_t import t_quantile

LEVEL = 0.95
MEAN_BATCHES = (30, 20)
REQUESTS_PER_BATCH = 10
QUANTILE_BATCHES = (10, 30)
JOINED_PARTS = 3
"""Replications joined into fewer parts give no interval: Student's t would be wider than the value."""


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


@dataclass(frozen=True, slots=True)
class Samples:
    """One number per request, replication after replication, in order of time within each."""

    values: Floats
    starts: Ints
    """Where each replication starts, and the end of the last."""
    replications: tuple[int, ...]

    @classmethod
    def of(cls, values: Floats, replication: Ints, replications: Sequence[int]) -> "Samples":
        """`replication` in ascending order; values that are not a number are left out."""
        defined = ~np.isnan(values)
        if not defined.all():
            values, replication = values[defined], replication[defined]
        starts = np.searchsorted(replication, [*replications, replications[-1] + 1]).astype(np.int64)
        return cls(values, starts, tuple(replications))

    @property
    def counts(self) -> Ints:
        return np.diff(self.starts)

    def of_replications(self, first: int, end: int) -> Floats:
        return self.values[self.starts[first] : self.starts[end]]

    def only(self, replications: Iterable[int]) -> "Samples":
        """The same samples without the other replications."""
        chosen = [self.replications.index(one) for one in replications]
        parts = [self.of_replications(i, i + 1) for i in chosen]
        starts = np.cumsum([0, *(len(part) for part in parts)])
        return Samples(np.concatenate(parts), starts, tuple(self.replications[i] for i in chosen))


def quantiles(values: Floats, probabilities: Sequence[float]) -> Floats:
    """Linear interpolation between order statistics at position (n - 1) p, as numpy's default."""
    positions = np.asarray(probabilities) * (len(values) - 1)
    below = np.floor(positions).astype(np.int64)
    above = np.minimum(below + 1, len(values) - 1)
    ordered = np.partition(values, np.unique([below, above]))
    low, high = ordered[below], ordered[above]
    found: Floats = low + (positions - below) * (high - low)
    return found


def requests_needed(probability: float) -> int:
    """A quantile wants ten observations beyond it, on its thinner side."""
    return math.ceil(10 / min(probability, 1 - probability) - 1e-6)


def name_of(probability: float) -> str:
    return f"p{probability * 100:g}"


def mean(samples: Samples) -> Answer:
    count = len(samples.values)
    if not count:
        return Refused("There is nothing to average: no request got that far.")
    blocks = [part for part in _replications(samples) if len(part)]
    if len(blocks) > 1:
        return _interval(np.array([part.mean() for part in blocks]), count)
    return _batch_mean(blocks[0])


def share(samples: Samples) -> Answer:
    """The mean of zeros and ones.

    Where all agree the replications show no spread, but the truth may lie beyond: then the bound is the exact
    binomial one (the rule of three).
    """
    answer = mean(samples)
    if isinstance(answer, Refused):
        return answer
    slack = 1 - (1 - LEVEL) ** (1 / answer.n)
    if answer.value == 1:
        return Estimate(1.0, 1 - slack, 1.0, answer.n)
    if answer.value == 0:
        return Estimate(0.0, 0.0, slack, answer.n)
    return answer.within(0.0, 1.0)


def quantile_answers(samples: Samples, probabilities: Sequence[float]) -> list[Answer]:
    """A quantile per replication, then t. Replications too small for it are joined with their neighbours."""
    return [_quantile(samples, probability) for probability in probabilities]


def interval_of(values: Floats, count: int) -> Estimate:
    """The t interval of independent values, one per replication or batch."""
    return _interval(values, count)


def _interval(values: Floats, count: int) -> Estimate:
    centre = float(values.mean())
    half = _half_width(values)
    return Estimate(centre, centre - half, centre + half, count)


def _half_width(values: Floats) -> float:
    blocks = len(values)
    return t_quantile(LEVEL, blocks - 1) * float(values.std(ddof=1)) / math.sqrt(blocks)


def parts_of(samples: Samples, needed: int) -> list[Floats]:
    """Replications, joined with their neighbours where they hold too few requests."""
    return [samples.of_replications(a, b) for a, b in pairwise(cuts_between(samples.counts, needed))]


def _replications(samples: Samples) -> list[Floats]:
    return [samples.of_replications(i, i + 1) for i in range(len(samples.replications))]


def _batch_mean(values: Floats) -> Estimate:
    centre, count = float(values.mean()), len(values)
    if count < MEAN_BATCHES[-1] * REQUESTS_PER_BATCH:
        needed = MEAN_BATCHES[-1] * REQUESTS_PER_BATCH
        return Estimate(
            centre, None, None, count, f"One replication of {count:,} requests: an interval needs {needed}."
        )
    correlation = 0.0
    for batches in MEAN_BATCHES:
        means = np.array([part.mean() for part in np.array_split(values, batches)])
        correlation = _lag_one(means)
        if count >= batches * REQUESTS_PER_BATCH and correlation <= 2 / math.sqrt(batches):
            half, used = _half_width(means), Batches(batches, correlation)
            return Estimate(centre, centre - half, centre + half, count, batches=used)
    return Estimate(centre, None, None, count, _still_correlated(correlation))


def _quantile(samples: Samples, probability: float) -> Answer:
    needed, count = requests_needed(probability), len(samples.values)
    if count < needed:
        return too_few(f"a {name_of(probability)}", needed, count)
    if len(samples.replications) == 1:
        return _batch_quantile(samples.values, probability, needed)
    found = np.array([quantiles(part, [probability])[0] for part in parts_of(samples, needed)])
    least = min(len(samples.replications), JOINED_PARTS)
    if len(found) >= least:
        return _interval(found, count)
    value = float(quantiles(samples.values, [probability])[0])
    return Estimate(value, None, None, count, _noparts_of(probability, needed, least))


def _batch_quantile(values: Floats, probability: float, needed: int) -> Estimate:
    """Sectioning: the quantile of all, with the spread of the quantiles of successive batches."""
    centre, count = float(quantiles(values, [probability])[0]), len(values)
    batches = min(QUANTILE_BATCHES[1], count // needed)
    if batches < QUANTILE_BATCHES[0]:
        return Estimate(centre, None, None, count, _noparts_of(probability, needed, QUANTILE_BATCHES[0]))
    found = np.array([quantiles(part, [probability])[0] for part in np.array_split(values, batches)])
    correlation = _lag_one(found)
    if correlation > 2 / math.sqrt(batches):
        return Estimate(centre, None, None, count, _still_correlated(correlation))
    half = _half_width(found)
    return Estimate(centre, centre - half, centre + half, count, batches=Batches(batches, correlation))


def cuts_between(counts: Ints, needed: int) -> list[int]:
    """Cuts between replications so that every part holds `needed` requests; the rest joins the last part."""
    cuts, held = [0], 0
    for number, count in enumerate(counts.tolist(), 1):
        held += count
        if held >= needed:
            cuts.append(number)
            held = 0
    return [*cuts[:-1], len(counts)]


def _lag_one(values: Floats) -> float:
    apart = values - values.mean()
    total = float(apart @ apart)
    return float(apart[:-1] @ apart[1:]) / total if total > 0 else 0.0


def too_few(name: str, needed: int, count: int) -> Refused:
    return Refused(f"{name[0].upper()}{name[1:]} needs at least {needed:,} requests; there are {count:,}.")


def _noparts_of(probability: float, needed: int, parts: int) -> str:
    name = name_of(probability)
    return f"The interval of a {name} needs {parts} replications or batches of {needed:,} requests."


def _still_correlated(correlation: float) -> str:
    return f"Successive batches are still correlated ({correlation:.2f}): use replications or a longer run."
