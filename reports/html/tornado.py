"""Which uncertain values move the answer the most, and by how much: a line for each, the strongest on top."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reports.estimate import ShownEstimate
from reports.html.dots import Mark, dots
from reports.html.figure import Choice, Figure, LegendEntry
from reports.html.markup import Html
from reports.html.tables import body, number_cell, row, table
from reports.rows import Row
from reports.words import MINUS, Scale, duration_scale, number

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
    ends = [end for _, one in told for swing in one["rows"] for end in (swing["at_low"], swing["at_high"])]
    scale = duration_scale(max(map(abs, ends)))
    shown = told[:MOST_CHOICES]
    choices = tuple(Choice(line.key, line.label) for line, _ in shown)
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
        dots(labels, list(_swings(shown, labels)), 1, scale, f"felt latency ({scale.symbol})", {}),
        _tornado_table(told),
        keys,
        choices,
    )


def _strongest(told: Sequence[tuple[Row, Mapping[str, Any]]]) -> list[str]:
    """Over all rows, so that a value keeps its line whichever row is shown."""
    strength: dict[str, float] = {}
    for _, one in told:
        for swing in one["rows"]:
            label = label_of(swing)
            strength[label] = max(strength.get(label, 0.0), abs(swing["spearman"]))
    return sorted(strength, key=lambda label: -strength[label])[:MOST_VALUES]


def _swings(shown: Sequence[tuple[Row, Mapping[str, Any]]], labels: Sequence[str]) -> Iterator[Mark]:
    absent = ShownEstimate(None, refused="not among the strongest")
    for line, one in shown:
        by_label = {label_of(swing): swing for swing in one["rows"]}
        visible = line is shown[0][0]
        for index, (end, name) in enumerate((("at_low", "lowest third"), ("at_high", "highest third"))):
            marks = [ShownEstimate(by_label[label][end]) if label in by_label else absent for label in labels]
            yield Mark(name, f"series_{index}", index, marks, line.key, visible)


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
        lines.append(row(label_of(swing), number_cell(_signed(swing["spearman"])), *ends))
    return lines


def _signed(correlation: float) -> str:
    return f"{MINUS if correlation < 0 else '+'}{abs(correlation):.2f}"


def label_of(one: Mapping[str, Any]) -> str:
    return str(one["name"]) if one["model"] is None else f"{one['model']}: {one['name']}"
