"""Which uncertain values move the answer the most, and by how much: a line for each, the strongest on top."""

from collections.abc import Mapping, Sequence
from typing import Any

from reports.html.figure import Choice, Figure, LegendEntry
from reports.html.markup import Html
from reports.html.tables import body, number_cell, row, table
from reports.html.tracks import Extent, Mark, Panel, TrackRow, TracksView, tracks_views
from reports.html.tracks_plot import tracks_plot
from reports.rows import Row
from reports.words import Scale, correlation, duration_scale, number

MOST_CHOICES = 6
"""More of them than anybody would click through; the table has all."""
MOST_VALUES = 10


def tornado(found: Mapping[str, Any], rows: Sequence[Row]) -> Figure | None:
    """None where nothing was drawn, or no draw completed a request."""
    known = {(variant, one["source"]): one for variant, ones in found["tornado"].items() for one in ones}
    told = [(line, known[line.variant, line.source]) for line in rows if (line.variant, line.source) in known]
    if not told:
        return None
    labels = _strongest(told)
    shown = told[:MOST_CHOICES]
    drawn = [_view(line, one, labels) for line, one in shown]
    keys = (
        LegendEntry("value in its lowest third", "series_0", symbol=0),
        LegendEntry("in its highest third", "series_1", symbol=1),
    )
    first = shown[0][1]
    noise = number(first["noise"])
    return Figure(
        "uncertainty-tornado",
        "Which uncertain values matter",
        "The median of the draws in which a value was in the lowest third of its range, and of those "
        f"that had it in the highest. A rank correlation closer to zero than {noise} may be chance.",
        f"Strongest for {shown[0][0].label}: {first['rows'][0]['name']}.",
        tracks_plot(drawn),
        _tornado_table(told),
        keys,
        tuple(Choice(view.key, view.title) for view in drawn),
        drawing=tracks_views("uncertainty-tornado", drawn),
    )


def _strongest(told: Sequence[tuple[Row, Mapping[str, Any]]]) -> list[str]:
    """Over all rows, so that a value keeps its line whichever row is shown."""
    strength: dict[str, float] = {}
    for _, one in told:
        for swing in one["rows"]:
            label = label_of(swing)
            strength[label] = max(strength.get(label, 0.0), abs(swing["spearman"]))
    return sorted(strength, key=lambda label: -strength[label])[:MOST_VALUES]


def _view(line: Row, one: Mapping[str, Any], labels: Sequence[str]) -> TracksView:
    """A bar from end to end for each value, from the lower third's dot to the upper third's."""
    by_label = {label_of(swing): swing for swing in one["rows"]}
    known = [by_label[label] for label in labels if label in by_label]
    ends = [end for swing in known for end in (swing["at_low"], swing["at_high"])]
    scale = duration_scale(max(map(abs, ends)))
    low = min(ends) * scale.factor
    rows = [_row(swing, scale) for swing in known]
    room = (max(ends) * scale.factor - low) * 0.06 or 1.0
    extent = Extent(low - room, max(ends) * scale.factor + room)
    return TracksView(line.key, line.label, [Panel("", f"felt latency, {scale.symbol}", rows, extent)])


def _row(swing: Mapping[str, Any], scale: Scale) -> TrackRow:
    at_low, at_high = (swing[end] * scale.factor for end in ("at_low", "at_high"))
    marks = [
        Mark("interval", min(at_low, at_high), max(at_low, at_high), "muted"),
        Mark("dot", at_low, at_low, "series_0", name="lowest third"),
        Mark("dot", at_high, at_high, "series_1", name="highest third"),
    ]
    return TrackRow(
        label_of(swing), marks, number(abs(swing["swing"]) * scale.factor), correlation(swing["spearman"])
    )


def _tornado_table(told: Sequence[tuple[Row, Mapping[str, Any]]]) -> Html:
    columns = ["Value", "Rank correlation", "In its lowest third", "In its highest third", "Swing"]
    bodies = [body(_swing_rows(one), _told_title(line, one), len(columns)) for line, one in told]
    return table("Felt latency by the values drawn, the strongest first", columns, bodies)


def _told_title(line: Row, one: Mapping[str, Any]) -> str:
    return f"{line.label}: user-felt latency, {one['statistic']}"


def _swing_rows(one: Mapping[str, Any]) -> list[Html]:
    def shown(seconds: float, scale: Scale) -> Html:
        return number_cell(number(seconds * scale.factor) + scale.suffix())

    lines = []
    for swing in one["rows"]:
        scale = duration_scale(swing["at_low"], swing["at_high"])
        ends = [shown(swing[end], scale) for end in ("at_low", "at_high", "swing")]
        lines.append(row(label_of(swing), number_cell(correlation(swing["spearman"])), *ends))
    return lines


def label_of(one: Mapping[str, Any]) -> str:
    return str(one["name"]) if one["model"] is None else f"{one['model']}: {one['name']}"
