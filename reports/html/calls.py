"""User-felt latency against the number of model calls k, where the run has the same route with several k."""

from collections.abc import Mapping, Sequence
from html import escape

from reports.answer.routes import routes_of
from reports.html.figure import Choice, Figure, Plot, axis, error_bars, layout
from reports.html.lines import Line, LinePoint, line_chart
from reports.html.markup import Html
from reports.html.palette import series_role
from reports.html.style import styles
from reports.html.tables import Footnotes, body, row, table
from reports.html.views import View, views
from reports.rows import Row
from reports.words import Scale, as_chosen, count, duration_scale, plural, rounded, with_interval

STATISTICS = (Choice("p95", "p95"), Choice("p50", "p50"), Choice("mean", "Mean"))


def felt_by_calls(rows: Sequence[Row]) -> Figure | None:
    """None unless some route was run with two or more k. The statistic that misses least comes first."""
    routes = routes_of(rows)
    if not routes:
        return None
    shown = [line for lines in routes.values() for line in lines]
    ks = ", ".join(count(k) for k in sorted({line.calls for line in shown}))
    statistics = sorted(
        STATISTICS, key=lambda s: sum(line.statistic("felt", s.key).value is None for line in shown)
    )
    drawn = [View(s.key, s.label, calls_chart(rows, routes, s.key)) for s in statistics]
    return Figure(
        "felt-by-calls",
        "User-felt latency against calls",
        "What moving the app away from the model costs is paid once per call: steeper lines are longer hops.",
        f"Lines of user-felt latency for k = {ks}: {'; '.join(routes)}.",
        _plot(rows, routes, statistics),
        _table(routes),
        (),
        tuple(statistics),
        ("felt",),
        views("felt-by-calls", "Statistic", drawn),
    )


def calls_chart(rows: Sequence[Row], routes: Mapping[str, Sequence[Row]], statistic: str) -> Html:
    """A line for each route, called as its variant where each has one."""
    ends = [lines[-1].statistic("felt", statistic).value for lines in routes.values()]
    scale = duration_scale(min((end for end in ends if end), default=0.0))
    drawn = _lines(rows, routes, statistic, scale)
    ks = sorted({line.calls for lines in routes.values() for line in lines})
    return line_chart(
        drawn,
        [(k, plural(k, "call") if k == ks[0] else f"{k}") for k in ks],
        scale,
        f"User-felt latency, {statistic}, in {scale.symbol} against the number of calls",
        f"{scale.symbol}, {ks[-1]} calls",
    )


def _lines(
    rows: Sequence[Row],
    routes: Mapping[str, Sequence[Row]],
    statistic: str,
    scale: Scale,
) -> list[Line]:
    """Coloured as the variant, where each has one line."""
    look = styles(rows)
    of_variants = len({lines[0].variant for lines in routes.values()}) == len(routes)
    found = []
    for index, (name, lines) in enumerate(routes.items()):
        points = [LinePoint(line.calls, line.statistic("felt", statistic)) for line in lines]
        given = [point for point in points if point.y.value is not None]
        if given:
            by_variant = of_variants and len(routes) > 1
            role = look[lines[0].key].role if by_variant else series_role(index)
            last = given[-1].y
            value = with_interval(last.value or 0.0, last.low, last.high, scale).value
            found.append(Line(lines[0].short_title if by_variant else name, role, given, value))
    return found


def _plot(rows: Sequence[Row], routes: Mapping[str, Sequence[Row]], statistics: Sequence[Choice]) -> Plot:
    every = [
        line.statistic("felt", s.key).value or 0.0
        for ones in routes.values()
        for line in ones
        for s in statistics
    ]
    scale = duration_scale(*every)
    data = [
        _trace(line, statistic, scale) | {"visible": statistic is statistics[0]}
        for statistic in statistics
        for line in _lines(rows, routes, statistic.key, scale)
    ]
    y = axis(f"user-felt latency ({scale.symbol})", rangemode="tozero")
    return {"data": data, "layout": layout(380, xaxis=axis("model calls per user request, k"), yaxis=y)}


def _trace(line: Line, statistic: Choice, scale: Scale) -> Plot:
    role = f"@{line.role}"
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": escape(line.name, quote=False),
        "x": [point.x for point in line.points],
        "y": [rounded((point.y.value or 0.0) * scale.factor) for point in line.points],
        "error_y": error_bars([point.y for point in line.points], scale, role),
        "line": {"color": role, "width": 2.2},
        "marker": {"color": role, "size": 8},
        "hovertext": [f"{escape(line.name)}, k = {as_chosen(p.x)}: {p.y.with_error()}" for p in line.points],
        "hoverinfo": "text",
        "meta": {"choice": statistic.key},
    }


def _table(routes: Mapping[str, Sequence[Row]]) -> Html:
    notes = Footnotes("calls")
    columns = ["Model calls, k", *(statistic.label for statistic in STATISTICS)]
    bodies = [
        body(
            [
                row(count(line.calls), *(notes.cell(line.statistic("felt", s.key)) for s in STATISTICS))
                for line in lines
            ],
            name,
            len(columns),
        )
        for name, lines in routes.items()
    ]
    return table("User-felt latency by number of calls", columns, bodies, after=notes.html())
