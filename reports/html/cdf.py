"""How latencies are distributed: one curve per row, of the quantile points in the summary."""

from bisect import bisect_left
from collections.abc import Container, Mapping, Sequence
from html import escape
from math import ceil, floor, inf, log10, sqrt

from reports.html.figure import DASHES, Choice, Figure, LegendEntry, Plot, axis, layout
from reports.html.markup import Html
from reports.html.style import Style, styles
from reports.html.tables import Definitions, body, number_cell, row, table, term
from reports.rows import Row, rows_by_source
from reports.words import Scale, as_chosen, duration, duration_scale, rounded, share

METRICS = (
    Choice("felt", "User-felt latency"),
    Choice("ttft", "Time to first token"),
    Choice("e2e", "End-to-end time"),
)
TABLE_POINTS = (0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
STEPS = {1.7: (1, 2, 3, 5), 2.7: (1, 2, 5), 4.0: (1, 3), inf: (1,)}
"""Up to how many decades, which ticks in each: as many as stand apart in 330 px, a telephone's width."""
SHOWN_AT_FIRST = 8
"""More curves than this start switched off, source by source: nobody reads twenty at once."""

Points = tuple[Sequence[float], Sequence[float]]


def distribution(rows: Sequence[Row], definitions: Definitions) -> Figure | None:
    """None when nothing completed."""
    metrics = [m for m in METRICS if any(_points(row, m.key)[0] for row in rows)]
    if not metrics:
        return None
    times = [t for row in rows for m in metrics for t in _points(row, m.key)[0]]
    scale = duration_scale(sqrt(min(times) * max(times)))
    x = axis(f"time ({scale.symbol}), logarithmic", type="log", **_ticks(rows, metrics, scale))
    y = axis(range=[0, 101], tickvals=[0, 25, 50, 75, 90, 100], ticksuffix=" %")
    look, at_first = styles(rows), _shown_at_first(rows)
    return Figure(
        "distribution",
        "Cumulative distribution",
        "Share of completed requests at or below a time. A curve ends where fewer than ten lie beyond.",
        f"Cumulative distributions of {metrics[0].label.lower()} for {', '.join(r.label for r in rows)}.",
        {"data": _curves(rows, metrics, look, scale, at_first), "layout": layout(400, xaxis=x, yaxis=y)},
        _table(rows, metrics, definitions),
        tuple(
            LegendEntry(
                row.label, look[row.key].role, False, look[row.key].dash, None, row.key, row.key in at_first
            )
            for row in rows
        ),
        tuple(metrics),
        tuple(metric.key for metric in metrics),
    )


def _curves(
    rows: Sequence[Row],
    metrics: Sequence[Choice],
    look: Mapping[str, Style],
    scale: Scale,
    at_first: Container[str],
) -> list[Plot]:
    curves = []
    for metric in metrics:
        for line in rows:
            visible = metric is metrics[0] and line.key in at_first
            curves.append(_curve(line, metric, look[line.key], scale) | {"visible": visible})
    return curves


def _ticks(rows: Sequence[Row], metrics: Sequence[Choice], scale: Scale) -> Plot:
    """Round times over all the curves, fewer per decade where one view spans many."""
    views = [[t * scale.factor for row in rows for t in _points(row, m.key)[0]] for m in metrics]
    span = max(log10(max(view) / min(view)) for view in views)
    steps = next(steps for most, steps in STEPS.items() if span <= most)
    first, last = (round_(log10(end(map(end, views)))) for round_, end in ((floor, min), (ceil, max)))
    ticks = [step * 10.0**decade for decade in range(first, last) for step in steps] + [10.0**last]
    return {"tickvals": ticks, "ticktext": [as_chosen(tick) for tick in ticks]}


def _curve(line: Row, metric: Choice, style: Style, scale: Scale) -> Plot:
    times, shares = _points(line, metric.key)
    name = escape(line.label, quote=False)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [rounded(t * scale.factor) for t in times],
        "y": [rounded(100 * share) for share in shares],
        "line": {"color": f"@{style.role}", "width": 2.2, "dash": DASHES[style.dash]},
        "hovertemplate": f"%{{y:,.4~g}} % within %{{x:,.4~g}} {scale.symbol}<br>{name}<extra></extra>",
        "meta": {"choice": metric.key, "series": line.key},
    }


def _shown_at_first(rows: Sequence[Row]) -> set[str]:
    """Whole sources as long as they fit; of a first one that does not, as many as fit."""
    shown: list[str] = []
    for of_source in rows_by_source(list(rows)).values():
        if shown and len(shown) + len(of_source) > SHOWN_AT_FIRST:
            break
        shown += [row.key for row in of_source]
    return set(shown[:SHOWN_AT_FIRST])


def _points(line: Row, metric: str) -> Points:
    """Without the points at zero, which a logarithmic axis cannot show."""
    curve = line.group.get("cdf", {}).get(metric) or {"x_s": [], "p": []}
    kept = [(t, p) for t, p in zip(curve["x_s"], curve["p"], strict=True) if t > 0.0]
    return [t for t, _ in kept], [p for _, p in kept]


def _table(rows: Sequence[Row], metrics: Sequence[Choice], definitions: Definitions) -> Html:
    columns = ["Share at or below", *(share(p) for p in TABLE_POINTS)]
    bodies = []
    for metric in metrics:
        lines = [row(line.label, *_cells(_points(line, metric.key))) for line in rows]
        bodies.append(body(lines, term(metric.key, metric.label, definitions), len(columns)))
    return table("The curves at chosen shares", columns, bodies)


def _cells(points: Points) -> list[Html]:
    return [number_cell("" if (t := _read_off(points, p)) is None else duration(t)) for p in TABLE_POINTS]


def _read_off(points: Points, wanted: float) -> float | None:
    """The curve at a share, straight between its points; None beyond its end."""
    times, shares = points
    at = bisect_left(shares, wanted)
    if at == len(shares):
        return None
    if at == 0 or shares[at] == wanted:
        return times[at] if shares[at] == wanted else None
    part = (wanted - shares[at - 1]) / (shares[at] - shares[at - 1])
    return times[at - 1] + part * (times[at] - times[at - 1])
