"""Maps of two fields: a square per cell, in the colour of its number, which stands in it."""

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from reports.html.figure import Choice, Figure, Plot, axis, layout
from reports.html.markup import Html
from reports.html.tables import body, row, table
from reports.sweep.rows import Row
from reports.sweep.view import Measure, SweepView, text_of
from reports.words import number, rounded

MOST_MAPS = 6
ROW_HEIGHT = 44
DARK, LIGHT = "#00204c", "#ffe945"
SHADES = [[0.0, DARK], [0.25, "#31446b"], [0.5, "#666870"], [0.75, "#a69d75"], [1.0, LIGHT]]
"""Cividis, which people with any colour vision read alike (Nuñez et al., PLOS ONE 2018)."""
OVERLOADED = " \N{MULTIPLICATION SIGN}"


def heat_maps(view: SweepView) -> list[Figure]:
    """One for each combination of the other fields; none without two fields, or of samples."""
    axes, measures = view.axes(), view.measures()
    if len(axes) < 2 or not measures or not view.is_grid(axes):
        return []
    x, y = sorted(axes, key=lambda field: -len(axes[field]))[:2]
    others = {field: values for field, values in axes.items() if field not in {x, y}}
    figures = []
    for number_, chosen in enumerate(list(product(*others.values()))[:MOST_MAPS]):
        fixed = dict(zip(others, chosen, strict=True))
        rows = [line for line in view.done if all(line[field] == value for field, value in fixed.items())]
        if rows:
            figures.append(_map(view, (x, axes[x]), (y, axes[y]), fixed, rows, measures, number_))
    return figures


def _map(
    view: SweepView,
    x: tuple[str, Sequence[Any]],
    y: tuple[str, Sequence[Any]],
    fixed: Mapping[str, Any],
    rows: Sequence[Row],
    measures: Sequence[Measure],
    index: int,
) -> Figure:
    where = ", ".join(f"{view.title(field)} {text_of(value)}" for field, value in fixed.items())
    title = f"{view.title(x[0])} against {view.title(y[0])}" + (f": {where}" if where else "")
    traces = [_trace(x, y, rows, one, visible=one is measures[0]) for one in measures]
    return Figure(
        identity=f"map-{index}",
        title=title,
        caption=f"Each square is a cell;{OVERLOADED} marks an overloaded one; colours are of the others.",
        description=f"{measures[0].title} for each {view.title(x[0])} and {view.title(y[0])}.",
        plot={"data": traces, "layout": _layout(view, x, y)},
        table=_table(view, x, y, rows, measures[0]),
        choices=tuple(Choice(one.column, one.heading) for one in measures),
    )


def _layout(view: SweepView, x: tuple[str, Sequence[Any]], y: tuple[str, Sequence[Any]]) -> Plot:
    plain = {"type": "category", "showgrid": False}
    return layout(
        90 + ROW_HEIGHT * len(y[1]),
        xaxis=axis(view.title(x[0]), **plain),
        yaxis=axis(view.title(y[0]), **plain),
    )


def _trace(
    x: tuple[str, Sequence[Any]],
    y: tuple[str, Sequence[Any]],
    rows: Sequence[Row],
    measure: Measure,
    *,
    visible: bool,
) -> Plot:
    found = {(text_of(line[x[0]]), text_of(line[y[0]])): line for line in rows}
    across, down = [text_of(value) for value in x[1]], [text_of(value) for value in y[1]]
    lines = [[found.get((one, other)) for one in across] for other in down]
    return {
        "type": "heatmap",
        "x": across,
        "y": down,
        "z": [[_shade(line, measure) for line in some] for some in lines],
        **_range(rows, measure),
        "text": [[_shown(line, measure) for line in some] for some in lines],
        "texttemplate": "%{text}",
        "textfont": {"size": 11.5},
        "hovertemplate": f"%{{x}}, %{{y}}<br>{measure.heading}: %{{text}}<extra></extra>",
        "colorscale": SHADES,
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
        "meta": {"choice": measure.column},
        "visible": visible,
    }


def _range(rows: Sequence[Row], measure: Measure) -> Plot:
    """Of the colours: what is overloaded takes those of the nearest end, or all others would look alike."""
    shades = [_shade(line, measure) for line in rows if line["verdict"] != "overloaded"]
    known = [shade for shade in shades if shade is not None]
    return {"zmin": min(known), "zmax": max(known)} if known and min(known) < max(known) else {}


def _shade(line: Row | None, measure: Measure) -> float | None:
    value = None if line is None else line.get(measure.column)
    if value is None:
        return None
    return rounded(math.log10(value) if measure.log and value > 0 else value)


def _shown(line: Row | None, measure: Measure) -> str:
    value = None if line is None else line.get(measure.column)
    if line is None or value is None:
        return ""
    return number(value * measure.scale.factor) + (OVERLOADED if line["verdict"] == "overloaded" else "")


def _table(
    view: SweepView,
    x: tuple[str, Sequence[Any]],
    y: tuple[str, Sequence[Any]],
    rows: Sequence[Row],
    measure: Measure,
) -> Html:
    found = {(text_of(line[x[0]]), text_of(line[y[0]])): line for line in rows}
    lines = [
        row(
            f"{view.title(y[0])} {text_of(other)}",
            *(_shown(found.get((text_of(one), text_of(other))), measure) for one in x[1]),
        )
        for other in y[1]
    ]
    heads = [f"{view.title(x[0])} {text_of(one)}" for one in x[1]]
    return table(measure.heading, ["", *heads], [body(lines)])
