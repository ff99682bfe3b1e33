"""Differences against the baseline on common random numbers: each with its interval beside a line at zero."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from reports.estimate import ShownEstimate, read_estimate
from reports.html.figure import Choice, Figure
from reports.html.markup import Html
from reports.html.tables import Definitions, Footnotes, body, number_cell, row, table, term
from reports.html.tracks import Panel, TrackRow, TracksView, cut_of, dot, extent_of, tracks_views
from reports.html.tracks_plot import tracks_plot
from reports.rows import Row, Summary, variant_titles
from reports.words import count, duration_scale, number

METRICS = (
    Choice("felt", "User-felt latency"),
    Choice("ttft", "Time to first token"),
    Choice("e2e", "End-to-end time"),
)
STATISTICS = {"mean": "Mean", "p50": "p50", "p95": "p95", "p99": "p99"}
VIEWS = tuple(
    Choice(f"{metric}-{statistic}", f"{short} {statistic}")
    for metric, short, statistics in (
        ("felt", "Felt", ("p95", "p50", "p99", "mean")),
        ("ttft", "TTFT", ("p95",)),
        ("e2e", "E2E", ("p95",)),
    )
    for statistic in statistics
)


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
    drawn = [view for choice in VIEWS if (view := _view(differences, choice, baseline)) is not None]
    if not drawn:
        return None
    return Figure(
        "differences",
        "Differences against the baseline",
        f"Variant less “{baseline}”, paired by replication: both saw the same requests, so chance common to "
        "both cancels. Right of zero is slower. Hollow and grey: an interval that crosses zero shows no "
        "difference. Overloaded variants are left out.",
        _description(differences),
        tracks_plot(drawn),
        _table(differences, definitions),
        (),
        tuple(Choice(view.key, view.title) for view in drawn),
        tuple(metric.key for metric in METRICS),
        tracks_views("differences", drawn),
    )


def _view(differences: Sequence[Difference], choice: Choice, baseline: str) -> TracksView | None:
    """A panel for each source; rows that would flatten the others are cut."""
    metric, statistic = choice.key.split("-")
    groups: dict[str, list[Difference]] = {}
    for one in differences:
        if one.estimate(metric, statistic).value is not None:
            groups.setdefault(one.row.source, []).append(one)
    several = len(groups) > 1
    panels = [
        _panel(source if several else "", ones, metric, statistic, baseline)
        for source, ones in groups.items()
    ]
    return TracksView(choice.key, choice.label, panels) if panels else None


def _panel(heading: str, ones: Sequence[Difference], metric: str, statistic: str, baseline: str) -> Panel:
    estimates = [one.estimate(metric, statistic) for one in ones]
    sizes = sorted(abs(e.value or 0.0) for e in estimates)
    cut = cut_of(sizes)
    scale = duration_scale(max(size for size in sizes if size <= cut))
    ends = [
        end * scale.factor
        for e in estimates
        for end in (e.value, e.low, e.high)
        if end is not None and abs(end) <= cut
    ]
    lines = [
        TrackRow(
            one.row.short_title,
            dot(e, scale, "series_0", sure=e.excludes_zero, name=statistic),
            e.shown(scale).value,
            e.shown(scale).interval or "no interval",
            sure=e.excludes_zero,
        )
        for one, e in zip(ones, estimates, strict=True)
    ]
    return Panel(heading, f"{scale.symbol}, against “{baseline.partition(',')[0]}”", lines, extent_of(ends))


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
