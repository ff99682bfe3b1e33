"""Attainment: good asks over asks, with an interval that holds also where every ask is good, or none.

Replications that all agree show no spread, but the truth may lie beyond. How far follows from how many
independent asks they are worth: asks that share a queue, a burst or a node fail together.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from reports.columns import Floats, Ints, Mask
from reports.differences import difference_apart, difference_of_means
from reports.objectives import Judged
from reports.statistics import (
    LEVEL,
    Answer,
    Estimate,
    Refused,
    Samples,
    batches_of,
    mean,
    means_of,
)
from reports.student_t import t_quantile

NOT_JUDGED = "Not judged"
NEAR = (0.9, 0.99)
"""Shares of the asks: how those beyond cluster stands in for failures that there were few of, or none."""
NORMAL_95 = 1.6449
FISHER_LOSES = 3
"""Observations that the interval of a correlation takes off."""


class SharePart(NamedTuple):
    """A replication or a batch: a value of each ask."""

    met: Floats
    severity: Floats


@dataclass(frozen=True)
class Attainment:
    """Of the asks that can be judged."""

    met: Samples
    """1 or 0 of each."""
    severity: Samples
    not_judged: str
    """Why no answer can be judged; empty where one can."""

    @classmethod
    def of(
        cls, asks: Judged, replication: Ints, replications: Sequence[int], not_judged: str = ""
    ) -> "Attainment":
        """`replication` in ascending order."""
        kept, owner = asks, replication
        if not asks.judged.all():
            kept, owner = asks.take(asks.judged), replication[asks.judged]
        return cls(
            Samples.of(kept.met.astype(np.float64), owner, replications),
            Samples.of(kept.severity, owner, replications),
            not_judged,
        )

    def answer(self, level: float = LEVEL) -> Answer:
        """The score interval (Wilson 1927) of as many independent asks as these are worth, with Student's t.

        Effective sizes in intervals of proportions: Korn & Graubard, Survey Methodology 24:193 (1998).
        """
        return self._usual if level == LEVEL else self._answer(level)

    @cached_property
    def _usual(self) -> Answer:
        return self._answer(LEVEL)

    def _answer(self, level: float) -> Answer:
        if self.not_judged:
            return Refused(self.not_judged)
        found = mean(self.met)
        if isinstance(found, Refused):
            return found
        parts = self._independent_parts()
        if isinstance(parts, str):
            return replace(found, low=None, high=None, note=parts, batches=None)
        t = t_quantile(level, len(parts) - 1)
        low, high = score_interval(found.value, effective_size(parts), t)
        return replace(found, low=low, high=high, note=None)

    def _independent_parts(self) -> list[SharePart] | str:
        """The replications; of a single one batches, or why it has none."""
        several = range(len(self.met.replications))
        parts = [
            SharePart(*(s.of_replications(i, i + 1) for s in (self.met, self.severity))) for i in several
        ]
        parts = [part for part in parts if len(part.met)]
        if len(parts) > 1:
            return parts
        found = batches_of(self._telling())
        if isinstance(found, str):
            return found
        cut = found[1].count
        both = (np.array_split(values, cut) for values in (self.met.values, self.severity.values))
        return [SharePart(*pair) for pair in zip(*both, strict=True)]

    def _telling(self) -> Floats:
        """What shows whether batches are independent: near all or nothing the severity, else who was good."""
        met, severity = self.met.values, self.severity.values
        if 1 - NEAR[0] <= met.mean() <= NEAR[0]:
            return met
        finite = np.isfinite(severity)
        if finite.all():
            return severity
        return np.where(finite, severity, 1 + np.max(severity[finite], initial=0.0))


def score_interval(share: float, size: float, t: float) -> tuple[float, float]:
    """Never empty and never beyond 0 and 1: of 100 % it reaches down to size / (size + t^2)."""
    pull = t * t / size
    centre = (share + pull / 2) / (1 + pull)
    half = math.sqrt(pull * share * (1 - share) + pull * pull / 4) / (1 + pull)
    return max(min(centre - half, share), 0.0), min(max(centre + half, share), 1.0)


def effective_size(parts: Sequence[SharePart]) -> float:
    """How many independent asks the asks of these independent parts are worth.

    As many as would make the share of good asks vary between the parts as much as it does. Near all or
    nothing too few failed, or passed, to tell; then also shares beyond a level that more of them reach.
    """
    met = [part.met for part in parts]
    count = sum(map(len, met))
    share = sum(float(one.sum()) for one in met) / count
    severity = [part.severity for part in parts]
    ordered = np.concatenate(severity)
    ordered.sort()
    sizes = [_size(met)]
    for near in NEAR:
        if share > near:
            level = ordered[int(near * (count - 1))]
            sizes.append(_size([one > level for one in severity]))
        elif 1 - share > near:
            level = ordered[int((1 - near) * (count - 1))]
            sizes.append(_size([one < level for one in severity]))
    known = [size for size in sizes if size is not None]
    return max(min(known, default=0.0), float(len(parts)))


def _size(parts: Sequence[Floats | Mask]) -> float | None:
    """Of parts with a 1 or 0 of each ask. None where all agree, which tells nothing."""
    count = sum(map(len, parts))
    share = sum(float(part.sum()) for part in parts) / count
    if share in (0.0, 1.0):
        return None
    variance = float(means_of(parts).var(ddof=1)) / len(parts)
    return min(share * (1 - share) / variance, count) if variance else float(count)


def difference_of_attainments(
    base: Attainment, other: Attainment, *, paired: bool, level: float = LEVEL
) -> tuple[Answer, float | None]:
    """`other` less `base`, and the variance-reduction factor of the pairing.

    Its interval follows from those of its sides, which hold near all and nothing, and from how far the two
    move together: Zou & Donner, Statistics in Medicine 27:1693 (2008).
    """
    sides = [base.answer(level), other.answer(level)]
    refused = next((side for side in sides if isinstance(side, Refused)), None)
    if refused is not None:
        return refused, None
    answer, gain = (
        difference_of_means(base.met, other.met) if paired else (difference_apart(base.met, other.met), None)
    )
    one, two = (side for side in sides if isinstance(side, Estimate))
    if isinstance(answer, Refused) or answer.low is None:
        return answer, gain
    if one.low is None or one.high is None or two.low is None or two.high is None:
        return replace(answer, low=None, high=None, note=one.note or two.note), gain
    together = _correlation(base.met, other.met) if paired else 0.0
    low = answer.value - _side(two.value - two.low, one.high - one.value, together)
    high = answer.value + _side(two.high - two.value, one.value - one.low, together)
    return replace(answer, low=max(low, -1.0), high=min(high, 1.0)), gain


def _side(one: float, two: float, together: float) -> float:
    return math.sqrt(max(one * one + two * two - 2 * together * one * two, 0.0))


def _correlation(base: Samples, other: Samples) -> float:
    """Of replications that both have: the lower end of its interval (Fisher), since few tell it badly."""
    both = [one for one in base.replications if one in other.replications]
    values = [means_of(_parts(side.only(both))) for side in (base, other)]
    if len(both) < 2 or not all(side.std() for side in values):
        return 0.0
    found = float(np.corrcoef(values[0], values[1])[0, 1])
    if len(both) <= FISHER_LOSES:
        return min(found, 0.0)
    bounded = min(max(found, -0.9999), 0.9999)
    return math.tanh(math.atanh(bounded) - NORMAL_95 / math.sqrt(len(both) - FISHER_LOSES))


def _parts(samples: Samples) -> list[Floats]:
    return [samples.of_replications(i, i + 1) for i in range(len(samples.replications))]
