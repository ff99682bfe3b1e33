"""User-felt latency against the number of model calls k, where the run has the same route with several k."""

from collections.abc import Mapping, Sequence
from html import escape

from reports.answer.routes import routes_of
from reports.html.dots import error_bars
from reports.html.figure import DASHES, SYMBOLS, Choice, Figure, LegendEntry, Plot, axis, layout, rounded
from reports.html.markup import Html
from reports.html.palette import SERIES, series_role
from reports.html.tables import Footnotes, body, row, table
from reports.rows import Row
from reports.words import Scale, count, duration_scale

STATISTICS = (Choice("p95", "p95"), Choice("p50", "p50"), Choice("mean", "Mean"))


def felt_by_calls(rows: Sequence[Row]) -> Figure | None:
    """None unless some route was run with two or more k. The statistic that misses least comes first."""
    routes = routes_of(rows)
    if not routes:
        return None
    shown = [line for lines in routes.values() for line in lines]
    scale = duration_scale(
        *(line.statistic("felt", s.key).value or 0.0 for line in shown for s in STATISTICS)
    )
    calls = sorted({line.calls for line in shown})
    statistics = sorted(
        STATISTICS, key=lambda s: sum(line.statistic("felt", s.key).value is None for line in shown)
    )
    x = axis("model calls per user request, k", tickvals=calls, range=[0, calls[-1] * 1.06])
    y = axis(f"user-felt latency ({scale.symbol})", rangemode="tozero")
    return Figure(
        "felt-by-calls",
        "User-felt latency against calls",
        "What moving the app away from the model costs is paid once per call: steeper lines are longer hops.",
        f"Lines of user-felt latency for k = {', '.join(map(count, calls))}: {'; '.join(routes)}.",
        {"data": _lines(routes, statistics, scale), "layout": layout(380, xaxis=x, yaxis=y)},
        _table(routes),
        tuple(LegendEntry(name, series_role(i), dash=_dash(i), series=name) for i, name in enumerate(routes)),
        tuple(statistics),
        ("felt",),
    )


def _lines(routes: Mapping[str, Sequence[Row]], statistics: Sequence[Choice], scale: Scale) -> list[Plot]:
    return [
        _line(name, lines, statistic, index, scale) | {"visible": statistic is statistics[0]}
        for statistic in statistics
        for index, (name, lines) in enumerate(routes.items())
    ]


def _line(name: str, lines: Sequence[Row], statistic: Choice, index: int, scale: Scale) -> Plot:
    points = [(line, line.statistic("felt", statistic.key)) for line in lines]
    given = [(line.calls, estimate) for line, estimate in points if estimate.value is not None]
    role = f"@{series_role(index)}"
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": escape(name, quote=False),
        "x": [calls for calls, _ in given],
        "y": [rounded((e.value or 0.0) * scale.factor) for _, e in given],
        "error_y": error_bars([e for _, e in given], scale, role),
        "line": {"color": role, "width": 2.2, "dash": DASHES[_dash(index)]},
        "marker": {"color": role, "size": 8, "symbol": SYMBOLS[index % len(SYMBOLS)]},
        "hovertext": [f"{escape(name)}, k = {calls}: {e.with_error()}" for calls, e in given],
        "hoverinfo": "text",
        "meta": {"choice": statistic.key, "series": name},
    }


def _dash(index: int) -> int:
    return index // len(SERIES) % len(DASHES)


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
