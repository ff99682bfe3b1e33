"""What a variant changes against the baseline, as the answer tells it: like with like, and sure or not."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from reports.estimate import ShownEstimate, read_estimate
from reports.rows import Row, Summary

STATISTICS = {"p95": "p95", "p50": "median", "mean": "mean"}
"""The first that has intervals everywhere is told."""


TITLES = {"felt": "User-felt latency", "ttft": "Time to first token"}
SUBJECTS = {"felt": "The whole answer", "ttft": "The first token"}
ABOUT_FIRST_TOKENS = re.compile(r"first tokens?\b|\bTTFT\b", re.IGNORECASE)
ABOUT_ANSWERS = re.compile(r"whole answers?\b|\banswers\b", re.IGNORECASE)


class ToldNumber(NamedTuple):
    """The number that an answer is given in."""

    metric: str
    statistic: str

    @property
    def key(self) -> str:
        """Of its tab in the matrix."""
        return f"{self.metric}-{self.statistic}"

    @property
    def named(self) -> str:
        return STATISTICS[self.statistic]

    @property
    def title(self) -> str:
        return f"{TITLES[self.metric]}, {self.statistic}"

    @property
    def subject(self) -> str:
        return SUBJECTS[self.metric]

    def of(self, row: Row) -> ShownEstimate:
        return row.statistic(self.metric, self.statistic)


MEAN = ToldNumber("felt", "mean")
"""Phases add up to it, so reasons are given for its changes."""


class Change(NamedTuple):
    """One row less the baseline's row of the same source."""

    row: Row
    baseline: Row
    metrics: Mapping[str, Any]
    both: Mapping[str, Any] | None
    """Counts and differences of asks that both completed, where each completed others as well."""

    def estimate(self, statistic: ToldNumber) -> ShownEstimate:
        """Seconds; of what both completed where they completed different asks."""
        if self.both is not None and statistic.metric not in self.both["metric"]:
            return ShownEstimate(None, refused="The variants completed different requests.")
        return self.of(*statistic)

    def of(self, metric: str, statistic: str) -> ShownEstimate:
        return read_estimate(self._metric(metric).get(statistic))

    def has(self, metric: str, statistic: str) -> bool:
        return statistic in self._metric(metric)

    def _metric(self, metric: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = (self.both or {}).get("metric", {}).get(metric) or self.metrics.get(
            metric, {}
        )
        return found

    def relative(self, statistic: ToldNumber) -> ShownEstimate:
        """As a share of the baseline's value, whose own uncertainty is left out."""
        found, base = self.estimate(statistic), statistic.of(self.baseline).value
        if found.value is None or not base:
            return ShownEstimate(None, refused=found.refused or "The baseline has no such number.")
        value, low, high = (None if x is None else x / base for x in (found.value, found.low, found.high))
        return ShownEstimate(value, low, high, note=found.note)

    def sure(self, statistic: ToldNumber) -> bool:
        return self.estimate(statistic).excludes_zero


def changes_of(summary: Summary, rows: Sequence[Row]) -> list[Change]:
    """Between rows that keep up: the waits of an overloaded model depend on how long it ran."""
    entries = {
        (variant, entry["source"]): entry
        for variant, ones in summary.get("differences", {}).items()
        for entry in ones
    }
    first = next(iter(summary["variants"]), None)
    base = {row.source: row for row in rows if row.variant == first and row.state != "overloaded"}
    return [
        Change(row, base[row.source], found["metric"], found.get("both"))
        for row in rows
        if row.source in base
        and row.state != "overloaded"
        and (found := entries.get((row.variant, row.source))) is not None
    ]


def told_of(
    summary: Summary, changes: Sequence[Change], rows: Sequence[Row], metric: str | None = None
) -> ToldNumber:
    """What the question asks for, if no metric is given, by the statistic of which most is known."""
    if metric is not None:
        return _statistic(metric, changes, rows)
    question = summary["question"]
    asked = ABOUT_FIRST_TOKENS.search(question) and not ABOUT_ANSWERS.search(question)
    found = _statistic("ttft" if asked else "felt", changes, rows)
    given = any(found.of(row).value is not None for row in rows)
    return found if given else _statistic("felt", changes, rows)


def _statistic(metric: str, changes: Sequence[Change], rows: Sequence[Row]) -> ToldNumber:
    """Of which most differences, or without any most rows, have an interval; p95 first."""

    def known(told: ToldNumber) -> tuple[int, int]:
        given = sum(told.of(row).value is not None for row in rows)
        if changes:
            return sum(change.estimate(told).has_interval for change in changes), given
        return sum(told.of(row).has_interval for row in rows), given

    return max((ToldNumber(metric, name) for name in STATISTICS), key=known)
