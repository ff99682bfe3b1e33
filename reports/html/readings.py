"""A chip that the catalogue reads in two ways: what a run with one of them says of the other.

Only the own work of prefill is told, by the first token of a lone request under either reading. What requests
would wait less or more because of it is not: that takes a run with the other.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from reports.rows import Row, Summary

OWN_WORK = ("overhead", "prefill")
"""The phases that the first token of a lone request waits for at its node."""


class Reading(NamedTuple):
    used: str
    other: str
    times_s: tuple[tuple[float, float], ...]
    """Of lone prompts, from short to long: under the reading that ran, and under the other."""

    def under_other(self, used_s: float) -> float:
        """Straight between what is known, and in proportion beyond it."""
        for (low, its_low), (high, its_high) in pairwise(((0.0, 0.0), *self.times_s)):
            if used_s <= high:
                return its_low + (its_high - its_low) * (used_s - low) / (high - low)
        longest, its_longest = self.times_s[-1]
        return used_s * its_longest / longest

    def mean_s(self, row: Row, metric: str) -> float | None:
        """The mean of a metric under the other reading, the own work of each call being as its mean."""
        mean, of_a_call = row.statistic(metric, "mean").value, _own_work_s(row.phases())
        if mean is None or not of_a_call:
            return None
        passed = _own_work_s(row.felt_phases()) if metric == "felt" else of_a_call
        return mean - passed * (1 - self.under_other(of_a_call) / of_a_call)


def readings_of(summary: Summary) -> dict[str, Reading]:
    """By model; of each that ran under one reading alone."""
    return {
        entry["model"]: Reading(
            entry["used"], entry["other"], tuple((one["used_s"], one["other_s"]) for one in entry["ttft"])
        )
        for entry in summary["facts"].get("readings", [])
    }


def _own_work_s(phases: Mapping[str, Any]) -> float:
    return sum(phases[name].value or 0.0 for name in OWN_WORK if name in phases)
