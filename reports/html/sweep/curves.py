"""Latency against throughput, a line as the load rises, with the knee of each marked."""

from collections.abc import Mapping, Sequence
from typing import Any

from reports.html.figure import LOGARITHMIC, Figure, axis, layout
from reports.html.markup import Html
from reports.html.sweep.series import Point, Series, legend, rings, series_of, trace
from reports.html.tables import body, number_cell, row, table
from reports.sweep.view import SweepView, is_number, knee
from reports.words import as_chosen, number

THROUGHPUT = "carried_per_s"
SPREAD = 1.05
"""Of the offered load, from which on a field counts as one that sets it."""


def load_curves(view: SweepView) -> Figure | None:
    """None where no field changes the load, or there is nothing to measure."""
    latency, load, series = view.latency(), load_field(view), deployments(view)
    if latency is None or load is None or not series:
        return None
    knees = [knee_of(one) for one in series]
    units = "requests/s", latency.scale.symbol
    data = [trace(view, one, index, units, lines=True) for index, one in enumerate(series)]
    data.append(rings([one for one in knees if one is not None], "knee"))
    return Figure(
        identity="curves",
        title=f"{latency.title} against throughput",
        caption=f"A line is a deployment, a point a value of {view.title(load)}. A ring marks the knee, "
        "where throughput over latency (Kleinrock's power) is greatest: none where that is at an end.",
        description=f"{latency.title} over carried requests per second, a line per deployment.",
        plot={
            "data": data,
            "layout": layout(
                440,
                xaxis=axis("Carried requests/s", rangemode="tozero"),
                yaxis=axis(f"{latency.title} ({latency.scale.symbol})", **LOGARITHMIC),
                hovermode="closest",
            ),
        },
        table=_table(view, load, series, knees, latency.scale.symbol),
        keys=legend(series, lines=True) if len(series) > 1 else (),
    )


def deployments(view: SweepView) -> list[Series]:
    """A series for each, with its latency in units of its scale over what it carries, as the load rises."""
    latency, load = view.latency(), load_field(view)
    if latency is None or load is None:
        return []
    points = [
        Point(line[THROUGHPUT], line[latency.column] * latency.scale.factor, line)
        for line in sorted(view.done, key=lambda line: float(line[load]))
        if line.get(THROUGHPUT) is not None and line.get(latency.column) is not None
    ]
    return [one for one in series_of(view, points, [load], view.axes()) if len(one.points) > 1]


def load_field(view: SweepView) -> str | None:
    """The field of numbers that changes most what is offered, all others being equal."""
    axes = view.axes()
    found = {
        field: _ratio(view, field, axes)
        for field, values in axes.items()
        if field != "variant" and is_number(values)
    }
    best = max(found, key=lambda field: found[field], default=None)
    return best if best is not None and found[best] > SPREAD else None


def _ratio(view: SweepView, field: str, axes: Mapping[str, Sequence[Any]]) -> float:
    """Of the most to the least that is offered along the field, at its widest."""
    by_rest: dict[str, list[float]] = {}
    for line in view.done:
        if line.get("offered_per_s"):
            rest = repr([line[other] for other in axes if other != field])
            by_rest.setdefault(rest, []).append(line["offered_per_s"])
    return max((max(some) / min(some) for some in by_rest.values()), default=1.0)


def knee_of(series: Series) -> Point | None:
    found = knee([(point.x, point.y) for point in series.points])
    return None if found is None else series.points[found]


def _table(
    view: SweepView, load: str, series: Sequence[Series], knees: Sequence[Point | None], unit: str
) -> Html:
    bodies = []
    for one, at in zip(series, knees, strict=True):
        lines = [
            row(
                f"{view.title(load)} {as_chosen(point.row[load])}" + (" (knee)" if point is at else ""),
                number_cell(number(point.x)),
                number_cell(f"{number(point.y)} {unit}"),
                point.row["verdict"],
            )
            for point in one.points
        ]
        bodies.append(body(lines, one.label, 4))
    return table("Latency against throughput", ["", "Carried/s", "Latency", "Verdict"], bodies)
