"""Rows with labels as a Plotly chart, for whoever draws them outside of the page."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, NamedTuple

from reports.html.figure import SYMBOLS, Plot, axis, layout
from reports.html.tracks import Mark, TracksView
from reports.words import rounded

ROW_HEIGHT = 30
HATCHING = {"shape": "/", "fillmode": "overlay", "size": 7, "solidity": 0.28, "fgcolor": "@page"}


class _Placed(NamedTuple):
    row: int
    mark: Mark
    interval: Mark | None
    """Of a dot, where it has one."""
    label: str
    value: str


def tracks_plot(views: Sequence[TracksView]) -> Plot:
    """All panels of a view below each other, with a trace for each name of a mark. The first view shows."""
    data: list[Plot] = []
    labels: list[str] = []
    for index, view in enumerate(views):
        placed = list(_placed(view))
        names = [
            f"{panel.heading} · {row.label}" if panel.heading else row.label
            for panel in view.panels
            for row in panel.rows
        ]
        labels = max(labels, names, key=len)
        for name in dict.fromkeys((one.mark.name, one.mark.role, one.mark.kind) for one in placed):
            mine = [one for one in placed if (one.mark.name, one.mark.role, one.mark.kind) == name]
            trace = _bars(mine) if name[2] == "bar" else _dots(mine)
            data.append(trace | {"visible": index == 0, "meta": {"choice": view.key}})
    unit = views[0].panels[0].unit
    rows = axis() | {
        "tickvals": list(range(len(labels))),
        "ticktext": [escape(one, quote=False) for one in labels],
        "range": [len(labels) - 0.5, -0.5],
    }
    whole = layout(len(labels) * ROW_HEIGHT + 78, barmode="overlay", xaxis=axis(unit), yaxis=rows)
    return {"data": data, "layout": whole}


def _placed(view: TracksView) -> Iterator[_Placed]:
    for index, row in enumerate(row for panel in view.panels for row in panel.rows):
        interval: Mark | None = None
        for mark in row.marks:
            if mark.kind == "interval":
                interval = mark
            elif mark.kind in {"bar", "dot"}:
                yield _Placed(index, mark, interval if mark.kind == "dot" else None, row.label, row.value)
                interval = None


def _bars(placed: Sequence[_Placed]) -> Plot:
    first = placed[0].mark
    marker: dict[str, Any] = {"color": f"@{first.role}", "line": {"color": "@page", "width": 1}}
    return {
        "type": "bar",
        "orientation": "h",
        "base": [rounded(one.mark.low) for one in placed],
        "x": [rounded(one.mark.high - one.mark.low) for one in placed],
        "marker": marker | ({"pattern": HATCHING} if first.hatched else {}),
        **_common(placed),
    }


def _dots(placed: Sequence[_Placed]) -> Plot:
    role = f"@{placed[0].mark.role}"
    ends = [(one.mark.low, one.interval) for one in placed]
    error = {
        "type": "data",
        "symmetric": False,
        "array": [rounded(i.high - at) if i else None for at, i in ends],
        "arrayminus": [rounded(at - i.low) if i else None for at, i in ends],
        "color": role,
    }
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [rounded(one.mark.low) for one in placed],
        "error_x": error,
        "marker": {"color": role, "size": 9, "symbol": SYMBOLS[0]},
        **_common(placed),
    }


def _common(placed: Sequence[_Placed]) -> Plot:
    name = placed[0].mark.name
    return {
        "name": escape(name, quote=False),
        "y": [one.row for one in placed],
        "hovertext": [
            f"{escape(one.label)}<br>{escape(name)}: {one.mark.text or one.value}" for one in placed
        ],
        "hoverinfo": "text",
    }
