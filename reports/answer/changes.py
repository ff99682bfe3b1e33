"""What a variant changes against the baseline, as the answer tells it: like with like, and sure or not."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from reports.estimate import ShownEstimate, read_estimate
from reports.rows import Row, Summary

STATISTICS = {"p95": "p95", "p50": "median", "mean": "mean"}
"""The first that has intervals everywhere is told."""


class Change(NamedTuple):
    """Of user-felt latency, one row less the baseline's row of the same source."""

    row: Row
    baseline: Row
    metrics: Mapping[str, Any]
    both: Mapping[str, Any] | None
    """Counts and differences of asks that both completed, where each completed others as well."""

    def estimate(self, statistic: str) -> ShownEstimate:
        """Seconds; of what both completed where they completed different asks."""
        return self.of("felt", statistic)

    def of(self, metric: str, statistic: str) -> ShownEstimate:
        return read_estimate(self._metric(metric).get(statistic))

    def has(self, metric: str, statistic: str) -> bool:
        return statistic in self._metric(metric)

    def _metric(self, metric: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = (self.both or {}).get("metric", {}).get(metric) or self.metrics.get(
            metric, {}
        )
        return found

    def relative(self, statistic: str) -> ShownEstimate:
        """As a share of the baseline's value, whose own uncertainty is left out."""
        found, base = self.estimate(statistic), self.baseline.statistic("felt", statistic).value
        if found.value is None or not base:
            return ShownEstimate(None, refused=found.refused or "The baseline has no such number.")
        value, low, high = (None if x is None else x / base for x in (found.value, found.low, found.high))
        return ShownEstimate(value, low, high, note=found.note)

    def sure(self, statistic: str) -> bool:
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


def told_statistic(changes: Sequence[Change], rows: Sequence[Row]) -> str:
    """The statistic of which most differences, or without any most rows, have an interval; p95 first."""

    def known(name: str) -> int:
        if changes:
            return sum(change.estimate(name).has_interval for change in changes)
        return sum(row.statistic("felt", name).has_interval for row in rows)

    def given(name: str) -> int:
        return sum(row.statistic("felt", name).value is not None for row in rows)

    return max(STATISTICS, key=lambda name: (known(name), given(name)))
