"""How the run went: stacked panels over a common time axis, a view per variant and model."""

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any, NamedTuple

from reports.html.figure import DASHES, Choice, Figure, Key, Plot, axis, layout, rounded
from reports.html.markup import Html, Node
from reports.html.rows import Summary, variant_titles
from reports.html.tables import Definitions, body, number_cell, row, table, term
from reports.words import number

Series = Mapping[str, Sequence[float]]
PANEL_HEIGHT = 118
GAP = 0.075
TABLE_ROWS = 24
BAND = "38"
"""Opacity of a band, as the last two digits of #rrggbbaa."""


class Line(NamedTuple):
    key: str
    label: str
    panel: int
    role: str
    dash: int = 0
    factor: float = 1.0


PANELS = ("requests/s", "requests in the system", "requests at the nodes", "KV tokens", "utilisation (%)")
LINES = (
    Line("offered_per_s", "Offered", 0, "series_5", 2),
    Line("carried_per_s", "Carried", 0, "series_2"),
    Line("rejected_per_s", "Rejected", 0, "series_1", 1),
    Line("in_system", "In the system", 1, "series_0"),
    Line("waiting", "Waiting", 2, "queue"),
    Line("prefilling", "In prefill", 2, "prefill", 1),
    Line("decoding", "In decode", 2, "decode", 2),
    Line("kv_tokens", "KV tokens", 3, "series_7"),
    Line("utilisation", "Utilisation", 4, "series_4", 0, 100.0),
)


class View(NamedTuple):
    """One variant and model: what a choice shows."""

    key: str
    label: str
    series: Mapping[str, Series]


def over_time(summary: Summary, definitions: Definitions) -> Figure | None:
    """None where the summary holds no series."""
    views, edges = _views(summary), summary.get("series_edges_s") or []
    if not views or len(edges) < 2:
        return None
    several = "low" in views[0].series["offered_per_s"]
    band = "; the band is the least and the most of the replications" if several else ""
    width = f"{edges[1] - edges[0]:.6g} s"
    return Figure(
        "over-time",
        "Load, batch and use over time",
        f"Averages over {width} each{band}. Rates and the number in the system count the whole variant, the "
        f"other panels one model.{_warm_up(summary)}",
        _said(views[0], edges),
        {
            "data": [trace for view in views for trace in _traces(view, edges, views[0])],
            "layout": _layout(summary),
        },
        _table(views, edges, definitions),
        tuple(Key(line.label, line.role, dash=line.dash, series=line.key) for line in LINES),
        tuple(Choice(view.key, view.label) for view in views),
        tuple(line.key for line in LINES),
    )


def _views(summary: Summary) -> list[View]:
    titles = variant_titles(summary)
    found = []
    for name, variant in summary["variants"].items():
        models = variant.get("series", {}).get("models", {})
        for model, series in models.items():
            named = [titles.get(name, name)] * (len(titles) > 1) + [model] * (len(models) > 1)
            label = " · ".join(named) or model
            found.append(View(f"{name}/{model}", label, {**variant["series"]["all"], **series}))
    return found


def _traces(view: View, edges: Sequence[float], first: View) -> list[Plot]:
    start, step = (edges[0] + edges[1]) / 2, edges[1] - edges[0]
    return [
        trace | {"x0": rounded(start), "dx": step, "visible": view is first}
        for line in LINES
        for trace in _band_and_line(view, line)
    ]


def _band_and_line(view: View, line: Line) -> list[Plot]:
    values = view.series[line.key]
    colour, name = f"@{line.role}", escape(line.label, quote=False)
    shared: Plot = {
        "type": "scatter",
        "mode": "lines",
        "xaxis": "x",
        "yaxis": f"y{line.panel + 1}" if line.panel else "y",
        "name": name,
        "meta": {"choice": view.key, "series": line.key},
    }
    bare: Plot = {"line": {"width": 0, "color": colour}, "hoverinfo": "skip"}
    drawn: Plot = {
        "y": _plotted(values["mean"], line),
        "line": {"color": colour, "width": 1.8, "dash": DASHES[line.dash]},
        "hovertemplate": f"%{{y:,.4~g}} at %{{x:,.4~g}} s<br>{name}<extra></extra>",
    }
    if "low" not in values:
        return [shared | drawn]
    low: Plot = {"y": _plotted(values["low"], line)}
    high: Plot = {"y": _plotted(values["high"], line), "fill": "tonexty", "fillcolor": f"{colour}/{BAND}"}
    return [shared | bare | low, shared | bare | high, shared | drawn]


def _plotted(values: Sequence[float], line: Line) -> list[float]:
    return [float(f"{value * line.factor:.4g}") for value in values]


def _layout(summary: Summary) -> Plot:
    panels = len(PANELS)
    height = (1 - GAP * (panels - 1)) / panels
    axes: Plot = {}
    titles: list[Plot] = []
    for index, title in enumerate(PANELS):
        top = 1 - index * (height + GAP)
        domain = [round(max(top - height, 0.0), 4), round(top, 4)]
        axes[f"yaxis{index + 1}" if index else "yaxis"] = axis(domain=domain, rangemode="tozero", nticks=4)
        titles.append(_note(title, 0, top, "left", "bottom", "x domain", "paper"))
    x = axis("time (s)", range=[0, summary["horizon_s"]], anchor=f"y{panels}")
    changes: Plot = {"xaxis": x, **axes, "annotations": titles, "margin": {"l": 8, "r": 8, "t": 22, "b": 48}}
    warm_up_s = summary["warm_up_s"]
    if warm_up_s:
        ends: Plot = {
            "type": "line",
            "xref": "x",
            "yref": "paper",
            "x0": warm_up_s,
            "x1": warm_up_s,
            "y0": 0,
            "y1": 1,
        }
        changes["shapes"] = [ends | {"line": {"color": "@muted", "width": 1.5, "dash": "dash"}}]
        titles.append(_note("warm-up ends", warm_up_s, 1, "left", "bottom", "x", "paper"))
    return layout(panels * PANEL_HEIGHT + 80, **changes)


def _note(text: str, x: float, y: float, xanchor: str, yanchor: str, xref: str, yref: str) -> Plot:
    place: Plot = {"x": x, "y": y, "xanchor": xanchor, "yanchor": yanchor, "xref": xref, "yref": yref}
    return place | {"text": text, "showarrow": False, "font": {"color": "@muted", "size": 12.5}}


def _warm_up(summary: Summary) -> str:
    warm_up_s = summary["warm_up_s"]
    return f" The dashed line marks the end of the warm-up, {warm_up_s:g} s." if warm_up_s else ""


def _said(view: View, edges: Sequence[float]) -> str:
    inside, use = view.series["in_system"]["mean"], view.series["utilisation"]["mean"]
    peak = max(range(len(inside)), key=inside.__getitem__)
    return (
        f"Five panels over {edges[-1]:g} s. In the system of {view.label}: at most {number(inside[peak])} "
        f"requests, around {edges[peak]:g} s, and {number(inside[-1])} at the end; utilisation "
        f"{number(100 * min(use))} to {number(100 * max(use))} %."
    )


def _table(views: Sequence[View], edges: Sequence[float], definitions: Definitions) -> Html:
    """Bins taken together until the rows fit a screen or two."""
    bins = len(edges) - 1
    cuts = [*range(0, bins, -(-bins // TABLE_ROWS)), bins]
    columns: list[Node] = ["From (s)", *(term(line.key, _heading(line), definitions) for line in LINES)]
    bodies = [
        body(
            [
                row(f"{edges[a]:g}", *(number_cell(number(_mean(view, line, a, b))) for line in LINES))
                for a, b in pairwise(cuts)
            ],
            view.label if len(views) > 1 else None,
            len(columns),
        )
        for view in views
    ]
    caption = f"The same over time, averaged over {edges[cuts[1]] - edges[0]:.6g} s"
    return table(caption, columns, bodies)


def _heading(line: Line) -> str:
    unit = {0: "/s", 4: " (%)"}.get(line.panel, "")
    return f"{line.label}{unit}"


def _mean(view: View, line: Line, first: int, end: int) -> float:
    """Bins are equally wide."""
    values: Any = view.series[line.key]["mean"][first:end]
    return float(sum(values)) / (end - first) * line.factor
