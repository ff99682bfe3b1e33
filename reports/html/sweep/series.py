"""Points of cells in series: which cells belong together, and what a line of them looks like."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from reports.html.figure import DASHES, SYMBOLS, LegendEntry, Plot
from reports.html.palette import SERIES, series_role
from reports.sweep.rows import Row
from reports.sweep.view import SweepView, text_of
from reports.words import number, rounded

MOST_SERIES = 24


class Point(NamedTuple):
    x: float
    y: float
    row: Row


class Series(NamedTuple):
    label: str
    points: list[Point]


def series_of(
    view: SweepView, points: Sequence[Point], without: Sequence[str], axes: Mapping[str, Sequence[Any]]
) -> list[Series]:
    """Points that agree in all fields but those that are left out, together; at most MOST_SERIES of them."""
    fields = [field for field in axes if field not in without]
    found: dict[str, list[Point]] = {}
    for point in points:
        label = ", ".join(f"{view.title(field)} {text_of(point.row[field])}" for field in fields)
        found.setdefault(label or "all cells", []).append(point)
    return [Series(label, some) for label, some in list(found.items())[:MOST_SERIES]]


def trace(view: SweepView, series: Series, index: int, axes: tuple[str, str], *, lines: bool) -> Plot:
    """`axes` are the units of the two."""
    role, lap = f"@{series_role(index)}", index // len(SERIES)
    return {
        "type": "scatter",
        "mode": "lines+markers" if lines else "markers",
        "name": series.label,
        "x": [rounded(point.x) for point in series.points],
        "y": [rounded(point.y) for point in series.points],
        "line": {"color": role, "width": 2, "dash": DASHES[lap % len(DASHES)]},
        "marker": {"color": role, "size": 8, "symbol": SYMBOLS[index % len(SYMBOLS)]},
        "hovertext": [_hover(view, point, axes) for point in series.points],
        "hoverinfo": "text",
        "meta": {"series": f"series-{index}"},
    }


def legend(series: Sequence[Series], *, lines: bool) -> tuple[LegendEntry, ...]:
    return tuple(
        LegendEntry(
            one.label,
            series_role(index),
            dash=index // len(SERIES) % len(DASHES) if lines else None,
            symbol=None if lines else index % len(SYMBOLS),
            series=f"series-{index}",
        )
        for index, one in enumerate(series)
    )


def front_line(points: Sequence[Point], name: str) -> Plot:
    """Through the points that no other beats."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [rounded(point.x) for point in points],
        "y": [rounded(point.y) for point in points],
        "line": {"color": "@text", "width": 1.5, "dash": "dot"},
        "hoverinfo": "skip",
    }


def rings(points: Sequence[Point], name: str) -> Plot:
    """Around points that are to be seen."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [rounded(point.x) for point in points],
        "y": [rounded(point.y) for point in points],
        "marker": {
            "color": "@text",
            "size": 16,
            "symbol": "circle-open",
            "line": {"width": 2, "color": "@text"},
        },
        "hoverinfo": "skip",
    }


def _hover(view: SweepView, point: Point, axes: tuple[str, str]) -> str:
    where = f"{number(point.y)} {axes[1]} at {number(point.x)} {axes[0]}"
    return "<br>".join((escape(view.name(point.row)), where, point.row["verdict"]))
