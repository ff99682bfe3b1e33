"""Stacked horizontal bars, each under its own label, so that long names need no margin."""

from collections.abc import Collection, Sequence
from html import escape
from typing import NamedTuple

from reports.html.figure import Plot, axis, layout, rounded

ROW_HEIGHT = 62
ABOVE_BAR = 0.36
"""Of a row: from the middle of the bar up to its label."""
LEGIBLE_SHARE = 0.07
"""Segments of at least this share of the longest bar carry their number, if it fits."""


_HATCHING = {
    "shape": "/",
    "fillmode": "overlay",
    "size": 7,
    "solidity": 0.28,
    "fgcolor": "@page",
    "fgopacity": 1,
}


class BarSegment(NamedTuple):
    """One colour of every bar."""

    name: str
    role: str
    hatched: bool
    values: Sequence[float]
    shown: Sequence[str]
    choice: str = ""


class Stack(NamedTuple):
    """All bars of one choice."""

    segments: Sequence[BarSegment]
    shown_totals: Sequence[str]
    choice: str = ""


def stacked_bars(
    labels: Sequence[str], stacks: Sequence[Stack], axis_title: str, setting_scale: Collection[int]
) -> Plot:
    """`values` are in units of the axis. The first stack is visible.

    Bars longer than those of the rows in `setting_scale` run off the scale, and say so. Each stack has its
    own scale, which ends at `meta.end`.
    """
    data = []
    for index, stack in enumerate(stacks):
        totals = _totals(stack)
        longest = max((totals[i] for i in setting_scale), default=0.0)
        end = rounded(longest * 1.18) or 1.0
        traces = [*(_bar(segment, labels, longest) for segment in stack.segments), _end_labels(stack, end)]
        shared = {"meta": {"choice": stack.choice, "end": end}, "visible": index == 0}
        data += [trace | shared for trace in traces]
    first = data[0]["meta"]["end"]
    return {"data": data, "layout": _row_layout(labels, axis(axis_title, range=[0, first], zeroline=False))}


def row_labels(labels: Sequence[str], shift: int) -> list[Plot]:
    """Each label above its row, at the left edge."""
    return [
        {
            "text": escape(label, quote=False),
            "x": 0,
            "xref": "paper",
            "xanchor": "left",
            "y": index,
            "yref": "y",
            "yanchor": "middle",
            "yshift": shift,
            "showarrow": False,
            "bgcolor": "@page",
            "borderpad": 0,
            "align": "left",
        }
        for index, label in enumerate(labels)
    ]


def rows_axis(count: int) -> Plot:
    return axis(range=[count - 0.45, -0.75], visible=False)


def _row_layout(labels: Sequence[str], x: Plot) -> Plot:
    return layout(
        len(labels) * ROW_HEIGHT + 78,
        barmode="stack",
        bargap=0.62,
        xaxis=x,
        yaxis=rows_axis(len(labels)),
        annotations=row_labels(labels, 22),
        uniformtext={"mode": "hide", "minsize": 10},
    )


def _bar(segment: BarSegment, labels: Sequence[str], longest: float) -> Plot:
    hover = [
        f"{escape(segment.name)}: {shown}<br>{escape(label)}"
        for label, shown in zip(labels, segment.shown, strict=True)
    ]
    return {
        "type": "bar",
        "orientation": "h",
        "name": segment.name,
        "y": list(range(len(labels))),
        "x": [rounded(v) for v in segment.values],
        "text": [
            shown if value >= LEGIBLE_SHARE * longest else ""
            for value, shown in zip(segment.values, segment.shown, strict=True)
        ],
        "textposition": "inside",
        "insidetextanchor": "middle",
        "textangle": 0,
        "textfont": {"size": 11},
        "insidetextfont": {"color": f"@on_{segment.role}"},
        "hovertext": hover,
        "hoverinfo": "text",
        "marker": _paint(segment),
    }


def _paint(segment: BarSegment) -> Plot:
    paint: Plot = {"color": f"@{segment.role}", "line": {"color": "@page", "width": 1}}
    if segment.hatched:
        paint["pattern"] = _HATCHING
    return paint


def _end_labels(stack: Stack, end: float) -> Plot:
    """Behind each bar; above it, at the right edge, where it runs off the scale."""
    totals = _totals(stack)
    inside = [total < end for total in totals]
    texts = zip(stack.shown_totals, inside, strict=True)
    return {
        "type": "scatter",
        "mode": "text",
        "x": [rounded(total) if fits else end for total, fits in zip(totals, inside, strict=True)],
        "y": [i if fits else i - ABOVE_BAR for i, fits in enumerate(inside)],
        "text": [f" {shown}" if fits else f"{shown}, off the scale" for shown, fits in texts],
        "textposition": ["middle right" if fits else "middle left" for fits in inside],
        "textfont": {"color": "@text", "size": 13},
        "hoverinfo": "skip",
        "cliponaxis": False,
    }


def _totals(stack: Stack) -> list[float]:
    return [sum(values) for values in zip(*(segment.values for segment in stack.segments), strict=True)]
