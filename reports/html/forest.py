"""Differences against the baseline on common random numbers: each with its interval beside a line at zero."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from reports.estimate import ShownEstimate, read_estimate
from reports.html.dots import Mark, dots
from reports.html.figure import Choice, Figure, LegendEntry
from reports.html.markup import Html
from reports.html.tables import Definitions, Footnotes, body, number_cell, row, table, term
from reports.rows import Row, Summary, variant_titles
from reports.words import count, duration_scale, number

METRICS = (
    Choice("felt", "User-felt latency"),
    Choice("ttft", "Time to first token"),
    Choice("e2e", "End-to-end time"),
)
STATISTICS = {"mean": "Mean", "p50": "p50", "p95": "p95", "p99": "p99"}


class Difference(NamedTuple):
    """One row less the baseline's row of the same source."""

    row: Row
    metrics: dict[str, Any]

    def estimate(self, metric: str, statistic: str) -> ShownEstimate:
        return read_estimate(self.metrics.get(metric, {}).get(statistic))


def differences_of(summary: Summary, rows: Sequence[Row]) -> list[Difference]:
    found = {
        (variant, entry["source"]): entry["metric"]
        for variant, entries in summary.get("differences", {}).items()
        for entry in entries
    }
    return [
        Difference(row, found[row.variant, row.source]) for row in rows if (row.variant, row.source) in found
    ]


def comparable(summary: Summary, rows: Sequence[Row]) -> list[Difference]:
    """Those between rows that keep up: the waits of an overloaded model depend on how long it ran."""
    baseline = next(iter(variant_titles(summary)))
    kept_up = {row.source for row in rows if row.variant == baseline and row.state != "overloaded"}
    return [
        d for d in differences_of(summary, rows) if d.row.source in kept_up and d.row.state != "overloaded"
    ]


def forest(differences: Sequence[Difference], baseline: str, definitions: Definitions) -> Figure | None:
    """None without a second variant, or when nothing could be compared."""
    everything = [d.estimate(m.key, s) for d in differences for m in METRICS for s in STATISTICS]
    values = [abs(end) for e in everything for end in (e.value, e.low, e.high) if end is not None]
    if not values:
        return None
    scale = duration_scale(max(values))
    labels = [d.row.label for d in differences]
    title = f"difference from “{baseline}” ({scale.symbol}); right of zero is slower"
    plot = dots(labels, _marks(differences), len(STATISTICS), scale, title, {})
    return Figure(
        "differences",
        "Differences against the baseline",
        f"Variant less “{baseline}”, paired by replication: both saw the same requests, so chance common to "
        "both cancels. An interval that crosses zero shows no difference. Overloaded variants are left out.",
        _description(differences),
        plot,
        _table(differences, definitions),
        tuple(LegendEntry(label, f"series_{i}", symbol=i) for i, label in enumerate(STATISTICS.values())),
        METRICS,
        tuple(metric.key for metric in METRICS),
    )


def _marks(differences: Sequence[Difference]) -> list[Mark]:
    return [
        Mark(
            f"{metric.label}, {label}",
            f"series_{index}",
            index,
            [d.estimate(metric.key, statistic) for d in differences],
            metric.key,
            metric is METRICS[0],
        )
        for metric in METRICS
        for index, (statistic, label) in enumerate(STATISTICS.items())
    ]


def _description(differences: Sequence[Difference]) -> str:
    found = ((d.row.label, d.estimate("felt", "p95")) for d in differences)
    parts = [f"{label} {e.with_error()}" for label, e in found if e.value is not None]
    return "Differences in user-felt latency, p95: " + ("; ".join(parts) or "none could be given") + "."


def _table(differences: Sequence[Difference], definitions: Definitions) -> Html:
    notes = Footnotes("differences")
    columns = ["", *STATISTICS.values(), "Variance reduction (mean)"]
    bodies = []
    for metric in METRICS:
        lines = []
        for d in differences:
            cells = [notes.cell(d.estimate(metric.key, statistic)) for statistic in STATISTICS]
            lines.append(row(d.row.label, *cells, _variance_reduction(d.estimate(metric.key, "mean"))))
        bodies.append(body(lines, term(metric.key, metric.label, definitions), len(columns)))
    return table("Difference from the baseline, with its interval", columns, bodies, after=notes.html())


def _variance_reduction(estimate: ShownEstimate) -> Html:
    """How many times more replications unpaired runs would have needed for the same interval."""
    factor = estimate.variance_reduction
    if factor is None:
        return number_cell("")
    return number_cell(f"{count(factor) if factor >= 100 else number(factor)} times")
