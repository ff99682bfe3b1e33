"""Differences against the baseline on common random numbers: each in per cent, beside a line at zero."""

from collections.abc import Mapping, Sequence

from reports.answer.changes import MEAN, Change, ToldNumber, changes_of
from reports.estimate import ShownEstimate
from reports.html.figure import Choice, Figure
from reports.html.markup import Html, Node, tag
from reports.html.style import Style, styles
from reports.html.tables import Definitions, Footnotes, body, number_cell, row, table, term
from reports.html.tracks import Extent, Panel, TrackRow, TracksView, cut_of, dot, extent_of, tracks_views
from reports.html.tracks_plot import tracks_plot
from reports.rows import Row, Summary
from reports.words import MINUS, PERCENT, Scale, change, count, duration_scale, number, with_interval

METRICS = {"felt": "User-felt latency", "ttft": "Time to first token", "e2e": "End-to-end time"}
SHORT = {"felt": "Felt", "ttft": "TTFT", "e2e": "E2E"}
STATISTICS = {"mean": "Mean", "p50": "p50", "p95": "p95", "p99": "p99"}
VIEWS = (
    *(ToldNumber("felt", name) for name in ("p95", "p50", "p99", "mean")),
    ToldNumber("ttft", "p95"),
    ToldNumber("e2e", "p95"),
)


def forest(summary: Summary, rows: Sequence[Row], definitions: Definitions) -> Figure | None:
    """None without a second variant, or when nothing could be compared."""
    changes, look = changes_of(summary, rows), styles(rows)
    named = len({one.row.source for one in changes}) > 1
    drawn = []
    for told in VIEWS:
        known = [one for one in changes if one.estimate(told).value is not None]
        panels = difference_panels(
            by_source(known), look, told, {s: s if named else "" for s in by_source(known)}
        )
        if panels:
            drawn.append(TracksView(told.key, f"{SHORT[told.metric]} {told.statistic}", panels))
    if not drawn:
        return None
    return Figure(
        "differences",
        "Differences against the baseline",
        f"Variant less “{changes[0].baseline.variant_title}”, paired by replication: both saw the same "
        "requests, so chance common to both cancels. Right of zero is slower. Hollow and grey: an interval "
        f"that crosses zero shows no difference. Overloaded variants are left out.{_selected(changes)}",
        _description(changes),
        tracks_plot(drawn),
        _table(changes, definitions),
        (),
        tuple(Choice(view.key, view.title) for view in drawn),
        tuple(METRICS),
        tracks_views("differences", drawn),
    )


def by_source(changes: Sequence[Change]) -> dict[str, list[Change]]:
    groups: dict[str, list[Change]] = {}
    for one in changes:
        groups.setdefault(one.row.source, []).append(one)
    return groups


def difference_panels(
    groups: Mapping[str, Sequence[Change]],
    look: Mapping[str, Style],
    told: ToldNumber,
    headings: Mapping[str, str],
) -> list[Panel]:
    """A panel for each source, all on one scale in per cent; rows that would flatten the others are cut."""
    extent = _extent([one for ones in groups.values() for one in ones], told)
    last = [*groups][-1:]
    panels = []
    for source, ones in groups.items():
        base = told.of(ones[0].baseline)
        scale = duration_scale(base.value or 0.0)
        against = f"{scale.symbol}, against {base.shown(scale).value}" if base.value is not None else ""
        lines = [_row(one, look[one.row.key].role, told, scale) for one in ones]
        panels.append(Panel(headings[source], against, lines, extent, axis=source in last))
    return panels


def _row(one: Change, role: str, told: ToldNumber, scale: Scale) -> TrackRow:
    relative, difference, sure = one.relative(told), one.estimate(told), one.sure(told)
    if relative.value is None or difference.value is None:
        return TrackRow(one.row.short_title, (), "\N{EM DASH}", "too few", sure=False)
    size = difference if difference.value >= 0 else difference.negated()
    amount = with_interval(size.value or 0.0, size.low, size.high, scale).value
    signed = f"{MINUS if difference.value < 0 else '+'}{amount}"
    marks = dot(relative, PERCENT, role, sure=sure, name=told.statistic)
    if not difference.has_interval:
        return TrackRow(one.row.short_title, marks, f"({signed})", "no interval", sure=False)
    beside = change(relative.value) if sure else "± chance"
    return TrackRow(one.row.short_title, marks, signed, beside, sure=sure)


def _extent(changes: Sequence[Change], told: ToldNumber) -> Extent:
    found = [one.relative(told) for one in changes]
    cut = cut_of(sorted(abs(e.value) for e in found if e.value is not None))
    ends = [x * 100 for e in found for x in (e.value, e.low, e.high) if x is not None and abs(x) <= cut]
    return extent_of(ends, unit="%", room=1.1)


def _selected(changes: Sequence[Change]) -> str:
    """What is compared where variants completed different requests."""
    if not any(one.both for one in changes):
        return ""
    return " Where each completed others as well, differences are of the requests that both completed."


def _description(changes: Sequence[Change]) -> str:
    found = ((one.row.label, one.of("felt", "p95")) for one in changes)
    parts = [f"{label} {e.with_error()}" for label, e in found if e.value is not None]
    return "Differences in user-felt latency, p95: " + ("; ".join(parts) or "none could be given") + "."


def _table(changes: Sequence[Change], definitions: Definitions) -> Html:
    notes = Footnotes("differences")
    columns: list[Node] = ["", *STATISTICS.values(), "Variance reduction (mean)"]
    bodies = []
    for metric, title in METRICS.items():
        lines = []
        for one in changes:
            cells = [notes.cell(one.estimate(ToldNumber(metric, name))) for name in STATISTICS]
            reduction = one.estimate(MEAN._replace(metric=metric))
            lines.append(row(_label(one), *cells, _variance_reduction(reduction)))
        bodies.append(body(lines, term(metric, title, definitions), len(columns)))
    return table("Difference from the baseline, with its interval", columns, bodies, after=notes.html())


def _label(one: Change) -> Node:
    if one.both is None:
        return one.row.label
    kept = f"of the {count(one.both['completed'])} that both completed"
    return tag("span", one.row.label, " ", tag("small", kept))


def _variance_reduction(estimate: ShownEstimate) -> Html:
    """How many times more replications unpaired runs would have needed for the same interval."""
    factor = estimate.variance_reduction
    if factor is None:
        return number_cell("")
    return number_cell(f"{count(factor) if factor >= 100 else number(factor)} times")
