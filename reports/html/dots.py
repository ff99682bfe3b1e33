"""Estimates as marks with their intervals, a row each, under its label."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from reports.estimate import ShownEstimate
from reports.html.bars import row_labels, rows_axis
from reports.html.figure import SYMBOLS, Plot, axis, layout, rounded
from reports.words import Scale

LABEL_HEIGHT = 34
MARK_HEIGHT = 17


class Mark(NamedTuple):
    """One estimate of every row, in one colour and symbol."""

    name: str
    role: str
    symbol: int
    estimates: Sequence[ShownEstimate]
    choice: str = ""
    visible: bool = True


def dots(
    labels: Sequence[str], marks: Sequence[Mark], per_row: int, scale: Scale, axis_title: str, x: Plot
) -> Plot:
    """Marks of one choice stand below each other within their row, `per_row` of them."""
    height = LABEL_HEIGHT + MARK_HEIGHT * per_row
    spacing = MARK_HEIGHT / height
    data = []
    for index, mark in enumerate(marks):
        offset = (index % per_row - (per_row - 1) / 2) * spacing + LABEL_HEIGHT / 4 / height
        data.append(_trace(labels, mark, offset, scale))
    shift = round(MARK_HEIGHT * per_row / 2) + 4
    whole = layout(
        len(labels) * height + 84,
        xaxis=axis(axis_title, zeroline=True, zerolinewidth=1.5) | x,
        yaxis=rows_axis(len(labels)),
        annotations=row_labels(labels, shift),
    )
    return {"data": data, "layout": whole}


def error_bars(estimates: Sequence[ShownEstimate], scale: Scale, role: str) -> Plot:
    """From each value to the ends of its interval; nothing where it has none."""
    ends = [(e.value, e.low, e.high) for e in estimates]
    above = [None if v is None or high is None else rounded((high - v) * scale.factor) for v, _, high in ends]
    below = [None if v is None or low is None else rounded((v - low) * scale.factor) for v, low, _ in ends]
    return {
        "type": "data",
        "symmetric": False,
        "array": above,
        "arrayminus": below,
        "color": role,
        "thickness": 2,
        "width": 0,
    }


def _trace(labels: Sequence[str], mark: Mark, offset: float, scale: Scale) -> Plot:
    given = [(i, e) for i, e in enumerate(mark.estimates) if e.value is not None]
    estimates = [e for _, e in given]
    role = f"@{mark.role}"
    return {
        "type": "scatter",
        "mode": "markers",
        "name": mark.name,
        "x": [rounded((e.value or 0.0) * scale.factor) for e in estimates],
        "y": [rounded(i + offset) for i, _ in given],
        "error_x": error_bars(estimates, scale, role),
        "marker": {"color": role, "size": 9, "symbol": SYMBOLS[mark.symbol]},
        "hovertext": [f"{escape(labels[i])}<br>{escape(mark.name)}: {_read(e, scale)}" for i, e in given],
        "hoverinfo": "text",
        "meta": {"choice": mark.choice},
        "visible": mark.visible,
    }


def _read(estimate: ShownEstimate, scale: Scale) -> str:
    shown = estimate.shown(scale)
    return f"{shown.with_unit()} ({shown.interval})" if shown.interval else shown.with_unit()
