"""How the run went: stacked panels over a common time axis, a view per variant and model."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from reports.explained.whole_run import Explained
from reports.html.figure import DASHES, Choice, Figure, LegendEntry, Plot, axis, layout
from reports.html.latency_course import (
    Courses,
    courses_of,
    latency_legend,
    latency_table,
    latency_traces,
    panel_title,
    panels_of,
)
from reports.html.markup import Html, Node, join
from reports.html.shades import instants, instants_legend, shade_axes, shade_legend, shades
from reports.html.stretch import zoomable
from reports.html.tables import Definitions, body, number_cell, row, table, term
from reports.rows import Summary, variant_titles
from reports.words import as_chosen, in_seconds, number, rounded, share

Series = Mapping[str, Sequence[float]]
PANEL_HEIGHT = 118
GAP_PX = 38
TABLE_ROWS = (6, 24)
ALL_ROWS = 240
"""The more views, the fewer rows for each: nobody reads a thousand, and they would fill the page."""
VIEWS_WITH_BANDS = 12
BAND = "38"
"""Opacity of a band, as the last two digits of #rrggbbaa."""


class SeriesLine(NamedTuple):
    key: str
    label: str
    panel: int
    role: str
    dash: int = 0
    factor: float = 1.0


PANELS = ("requests/s", "requests in the system", "requests at the nodes", "KV tokens", "utilisation (%)")
LINES = (
    SeriesLine("offered_per_s", "Offered", 0, "series_5", 2),
    SeriesLine("carried_per_s", "Carried", 0, "series_2"),
    SeriesLine("rejected_per_s", "Rejected", 0, "series_1", 1),
    SeriesLine("in_system", "In the system", 1, "series_0"),
    SeriesLine("waiting", "Waiting", 2, "queue"),
    SeriesLine("prefilling", "In prefill", 2, "prefill", 1),
    SeriesLine("decoding", "In decode", 2, "decode", 2),
    SeriesLine("kv_tokens", "KV tokens", 3, "series_7"),
    SeriesLine("utilisation", "Utilisation", 4, "series_4", 0, 100.0),
)

NODES_PANEL = "nodes"
NODES_LINES = (
    SeriesLine("nodes_taking", "Taking requests", len(PANELS), "series_0"),
    SeriesLine("nodes_paid", "Paid for", len(PANELS), "series_5", 2),
)
"""Where nodes come and go."""


Lines = Sequence[SeriesLine]


class View(NamedTuple):
    """One variant and model: what a choice shows."""

    key: str
    label: str
    series: Mapping[str, Series]
    faults: Sequence[Mapping[str, Any]]
    """What was broken when."""
    latencies: Courses
    """Of the sources that ask this model; none without the tables of the run."""


def over_time(summary: Summary, definitions: Definitions, found: Explained | None = None) -> Figure | None:
    """None where the summary holds no series."""
    views, edges = _views(summary, found), summary.get("series_edges_s") or []
    if not views or len(edges) < 2:
        return None
    scales = "nodes_paid" in views[0].series
    lines, panels = (*LINES, *NODES_LINES * scales), (*PANELS, *[NODES_PANEL] * scales)
    sources, first = panels_of([view.latencies for view in views]), len(panels)
    panels = (*panels, *(panel_title(source) for source in sources))
    order = [*range(first, len(panels)), *range(first)]
    marked = any(view.faults or _changes(view, edges) for view in views)
    several = "low" in views[0].series["offered_per_s"] and len(views) <= VIEWS_WITH_BANDS
    band = "; the band is the least and the most of the replications" if several else ""
    width = in_seconds(edges[1] - edges[0])
    return Figure(
        "over-time",
        f"{'Latency, load' if sources else 'Load'}, batch and use over time",
        f"Averages over {width} each{band}. Rates and the number in the system count the whole variant, the "
        f"other panels one model.{_latencies(sources)}{_warm_up(summary)}{_shaded(views)}",
        _said(views[0], edges),
        {
            "data": [
                trace
                for view in views
                for trace in (
                    *shades(view.key, view.faults, edges[-1], len(panels), visible=view is views[0]),
                    *instants(view.key, _changes(view, edges), len(panels), visible=view is views[0]),
                    *latency_traces(view.key, view.latencies, sources, first, visible=view is views[0]),
                    *_traces(view, edges, lines, with_bands=several, visible=view is views[0]),
                )
            ],
            "layout": zoomable(_layout(summary, panels, order, shaded=marked)),
        },
        join(
            latency_table({view.label: view.latencies for view in views}, sources) if sources else None,
            _table(views, edges, lines, definitions),
        ),
        (
            *(latency_legend() if sources else ()),
            *(LegendEntry(line.label, line.role, dash=line.dash, series=line.key) for line in lines),
            *shade_legend([view.faults for view in views]),
            *instants_legend([_changes(view, edges) for view in views]),
        ),
        tuple(Choice(view.key, view.label) for view in views),
        tuple(line.key for line in lines),
        over_time=True,
    )


def _views(summary: Summary, explained: Explained | None) -> list[View]:
    titles = variant_titles(summary)
    found: list[View] = []
    for name, variant in summary["variants"].items():
        models = variant.get("series", {}).get("models", {})
        for model, series in models.items():
            named = [titles.get(name, name)] * (len(titles) > 1) + [model] * (len(models) > 1)
            label = " · ".join(named) or model
            spans = variant.get("faults", {}).get("spans", [])
            latencies = courses_of(explained, name, model)
            every = {**variant["series"]["all"], **series}
            found.append(View(f"view-{len(found)}", label, every, spans, latencies))
    return found


def _changes(view: View, edges: Sequence[float]) -> list[float]:
    """When nodes began or ceased to take requests, to the bin: where their number is another afterwards."""
    taking = view.series.get("nodes_taking", {}).get("mean", ())
    whole = [round(number) for number in taking]
    return [edges[i + 1] for i in range(len(whole) - 1) if whole[i] != whole[i + 1]]


def _latencies(sources: Sequence[str]) -> str:
    if not sources:
        return ""
    return (
        " Latencies are of completed requests by when they were meant, all replications together, where a "
        "stretch has enough of them."
    )


def _traces(
    view: View, edges: Sequence[float], lines: Lines, *, with_bands: bool, visible: bool
) -> list[Plot]:
    start, step = (edges[0] + edges[1]) / 2, edges[1] - edges[0]
    shared: Plot = {"x0": rounded(start), "dx": step, "visible": visible}
    return [
        trace | shared | _place(view, line)
        for line in lines
        for trace in (*(_band(view.series[line.key], line) if with_bands else ()), _mean_line(view, line))
    ]


def _place(view: View, line: SeriesLine) -> Plot:
    return {
        "type": "scatter",
        "mode": "lines",
        "xaxis": "x",
        "yaxis": f"y{line.panel + 1}" if line.panel else "y",
        "name": line.label,
        "meta": {"choice": view.key, "series": line.key},
    }


def _mean_line(view: View, line: SeriesLine) -> Plot:
    return {
        "y": _plotted(view.series[line.key]["mean"], line),
        "line": {"color": f"@{line.role}", "width": 1.8, "dash": DASHES[line.dash]},
        "hovertemplate": f"%{{y:,.4~g}} at %{{x:,.4~g}} s<br>{line.label}<extra></extra>",
    }


def _band(values: Series, line: SeriesLine) -> list[Plot]:
    """The lower edge, and the upper one filled down to it; none of a single replication."""
    if "low" not in values:
        return []
    bare: Plot = {"line": {"width": 0, "color": f"@{line.role}"}, "hoverinfo": "skip"}
    filled: Plot = {"fill": "tonexty", "fillcolor": f"@{line.role}/{BAND}"}
    return [
        bare | {"y": _plotted(values["low"], line)},
        bare | filled | {"y": _plotted(values["high"], line)},
    ]


def _plotted(values: Sequence[float], line: SeriesLine) -> list[float]:
    return [rounded(value * line.factor) for value in values]


def _layout(summary: Summary, named: Sequence[str], order: Sequence[int], *, shaded: bool) -> Plot:
    """`order` says which panel stands where, from above."""
    panels = len(named)
    height_px = panels * PANEL_HEIGHT
    gap = GAP_PX / height_px
    height = (1 - gap * (panels - 1)) / panels
    axes: Plot = {}
    titles: list[Plot] = []
    for place, index in enumerate(order):
        title, top = named[index], 1 - place * (height + gap)
        domain = [round(max(top - height, 0.0), 4), round(top, 4)]
        axes[f"yaxis{index + 1}" if index else "yaxis"] = axis(domain=domain, rangemode="tozero", nticks=4)
        titles.append(_title(title, top))
    if shaded:
        axes |= shade_axes(panels)
    x = axis("time (s)", range=[0, summary["horizon_s"]], anchor=f"y{order[-1] + 1}" if order[-1] else "y")
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
    return layout(height_px + 80, **changes)


def _title(text: str, top: float) -> Plot:
    place: Plot = {
        "x": 0,
        "xref": "x domain",
        "xanchor": "left",
        "y": top,
        "yref": "paper",
        "yanchor": "bottom",
    }
    return place | {"text": text, "showarrow": False, "font": {"color": "@muted", "size": 12.5}}


def _warm_up(summary: Summary) -> str:
    warm_up_s = summary["warm_up_s"]
    return f" The dashed line marks the end of the warm-up, {in_seconds(warm_up_s)}." if warm_up_s else ""


def _shaded(views: Sequence[View]) -> str:
    return " What is shaded was broken." if any(view.faults for view in views) else ""


def _said(view: View, edges: Sequence[float]) -> str:
    inside, use = view.series["in_system"]["mean"], view.series["utilisation"]["mean"]
    peak = max(range(len(inside)), key=inside.__getitem__)
    panels = 5 + len(view.latencies)
    return (
        f"{panels} panels over {in_seconds(edges[-1])}. In the system of {view.label}: at most "
        f"{number(inside[peak])} requests, around {in_seconds(edges[peak])}, and {number(inside[-1])} at the "
        f"end; utilisation {share(min(use))} to {share(max(use))}."
    )


def _table(views: Sequence[View], edges: Sequence[float], lines: Lines, definitions: Definitions) -> Html:
    """Bins taken together until the rows fit a screen or two."""
    bins = len(edges) - 1
    rows = min(max(ALL_ROWS // len(views), TABLE_ROWS[0]), TABLE_ROWS[1])
    cuts = [*range(0, bins, -(-bins // rows)), bins]
    columns: list[Node] = ["From (s)", *(term(line.key, _heading(line), definitions) for line in lines)]
    bodies = [
        body(
            [
                row(as_chosen(edges[a]), *(number_cell(number(_mean(view, line, a, b))) for line in lines))
                for a, b in pairwise(cuts)
            ],
            view.label if len(views) > 1 else None,
            len(columns),
        )
        for view in views
    ]
    caption = f"The same over time, averaged over {in_seconds(edges[cuts[1]] - edges[0])}"
    return table(caption, columns, bodies)


def _heading(line: SeriesLine) -> str:
    unit = {0: "/s", 4: " (%)"}.get(line.panel, "")
    return f"{line.label}{unit}"


def _mean(view: View, line: SeriesLine, first: int, end: int) -> float:
    """Bins are equally wide."""
    values: Any = view.series[line.key]["mean"][first:end]
    return float(sum(values)) / (end - first) * line.factor
