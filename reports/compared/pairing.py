"""One number of two runs, subtracted: paired by replication where they share their random numbers."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from reports.attainment import difference_of_attainments
from reports.compared.runs import ComparedRun
from reports.differences import difference_apart, difference_of_means, difference_of_quantiles
from reports.group import Group
from reports.metrics import PROBABILITIES
from reports.objectives import stated
from reports.statistics import LEVEL, Answer, Refused, Samples

NO_SOURCE = Refused("One of the runs has no such source.")


def why_apart(first: ComparedRun, other: ComparedRun) -> str:
    """Why replications of the two share no chance and cannot be paired; empty where they do.

    The same arrivals prove the same streams: lengths, which follow from the scenario, may differ.
    """
    one, two = first.manifest, other.manifest
    if one["seed"] != two["seed"]:
        return f"seeds {one['seed']} and {two['seed']} differ"
    if one["replications_done"] != two["replications_done"]:
        return f"{one['replications_done']} and {two['replications_done']} replications"
    if any(one[name] != two[name] for name in ("warm_up_s", "horizon_s")):
        return "they measure different times"
    for key in first.groups.keys() & other.groups.keys():
        asks = first.groups[key].asks, other.groups[key].asks
        if not all(np.array_equal(asks[0][name], asks[1][name]) for name in ("replication", "intended_ps")):
            return "the arrivals differ"
    return ""


@dataclass(frozen=True)
class Difference:
    """`other` less `base`, in seconds or as a share. Both are of one source, or one of them is missing."""

    base: Group | None
    other: Group | None
    metric: str
    statistic: str
    paired: bool

    def at(self, level: float) -> Answer:
        """With its interval at this level."""
        return self._usual[0] if level == LEVEL else self._found(level)[0]

    @cached_property
    def _usual(self) -> tuple[Answer, float | None]:
        return self._found(LEVEL)

    def as_json(self) -> dict[str, Any]:
        """At 95 %, a paired one with its variance-reduction factor."""
        answer, gain = self._usual
        more = {"variance_reduction": gain} if self.paired and self.base and self.other else {}
        return {**answer.as_json(), **more}

    @property
    def identical(self) -> bool:
        """Not one observation differs, of some at least.

        Of shares also not how near each ask came to its limit: all good on both sides may be rare misses.
        """
        if not self.paired or self.base is None or self.other is None:
            return False
        if self.metric == "attainment":
            one, two = self.base.attainment, self.other.attainment
            same = not _other_objectives(self.base, self.other) and _equal(one.met, two.met)
            return same and _equal(one.severity, two.severity)
        return _equal(self.base.samples[self.metric], self.other.samples[self.metric])

    def _found(self, level: float) -> tuple[Answer, float | None]:
        """And the variance-reduction factor."""
        base, other = self.base, self.other
        if base is None or other is None:
            return NO_SOURCE, None
        if self.metric == "attainment":
            if why := _other_objectives(base, other):
                return Refused(why), None
            sides = base.attainment, other.attainment
            return difference_of_attainments(*sides, paired=self.paired, level=level)
        probability = PROBABILITIES.get(self.statistic)
        first, second = base.samples[self.metric], other.samples[self.metric]
        if not self.paired:
            return difference_apart(first, second, probability, level), None
        if probability is None:
            return difference_of_means(first, second, level)
        return difference_of_quantiles(first, second, probability, level)


def _equal(one: Samples, two: Samples) -> bool:
    if not len(one.values) or not np.array_equal(one.starts, two.starts):
        return False
    return np.array_equal(one.values, two.values)


def _other_objectives(base: Group, other: Group) -> str:
    """Why shares of these two are of different things; empty where both are held to the same."""
    one, two = stated(base.slo), stated(other.slo)
    if one == two:
        return ""
    return (
        f"The objectives differ, so the shares do not count the same: {one or 'none'}, and {two or 'none'}."
    )
