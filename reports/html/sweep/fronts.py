"""What can be had for what: cost against latency, and throughput per node against speed for each user."""

from collections.abc import Sequence
from typing import NamedTuple

from reports.html.figure import LOGARITHMIC, Figure, axis, layout
from reports.html.markup import Html
from reports.html.sweep.series import Point, front_line, legend, rings, series_of, trace
from reports.html.tables import body, number_cell, row, table
from reports.sweep.rows import Row
from reports.sweep.view import SweepView, front
from reports.words import STATED_DIGITS, number, rounded

COSTS = (
    ("nodes_usd_per_hour", "Nodes, USD per hour"),
    ("usd_per_1m_output_tokens", "USD per 1M output tokens"),
    ("joules_per_output_token", "J per output token"),
    ("paid_nodes", "Nodes"),
)
"""What is paid, the first that is known and differs between cells."""


class Axis(NamedTuple):
    column: str
    title: str
    unit: str
    factor: float = 1.0
    log: bool = False
    more: bool = False
    """Whether more is better."""


def cost_front(view: SweepView) -> Figure | None:
    latency, cost = view.latency(), _cost(view)
    if latency is None or cost is None:
        return None
    y = Axis(latency.column, latency.title, latency.scale.symbol, latency.scale.factor, log=True)
    return _figure(
        view,
        "cost",
        "Cost against latency",
        cost,
        y,
        "Cells that keep up. The dotted line joins those that no other beats in both: further left is "
        "cheaper, further down is faster.",
    )


def field_chart(view: SweepView) -> Figure | None:
    x = Axis(f"{view.source}.tokens_per_s_per_user", "Tokens/s for each user", "tokens/s", more=True)
    y = Axis(f"{view.model}.output_tokens_per_s_per_node", "Output tokens/s per node", "tokens/s", more=True)
    return _figure(
        view,
        "field",
        "Throughput per node against interactivity",
        x,
        y,
        "Interactivity is one over the median time per output token. Cells that keep up; the dotted line "
        "joins those that no other beats in both: further right is faster for each user, further up is more "
        "from each node.",
    )


def _figure(view: SweepView, identity: str, title: str, x: Axis, y: Axis, caption: str) -> Figure | None:
    points = [
        Point(line[x.column] * x.factor, line[y.column] * y.factor, line)
        for line in view.done
        if line["verdict"] == "stable" and line.get(x.column) is not None and line.get(y.column) is not None
    ]
    if len(points) < 2:
        return None
    best = [points[i] for i in front([(p.x, p.y) for p in points], more_x=x.more, more_y=y.more)]
    series = series_of(view, points, _many(view), view.axes())
    data = [trace(view, one, index, (x.unit, y.unit), lines=False) for index, one in enumerate(series)]
    return Figure(
        identity=identity,
        title=title,
        caption=caption,
        description=f"{y.title} over {x.title}; {len(best)} of {len(points)} cells are on the front.",
        plot={
            "data": [front_line(best, "Pareto front"), *data, rings(best, "Pareto front")],
            "layout": layout(
                440,
                xaxis=axis(x.title, rangemode="tozero"),
                yaxis=axis(f"{y.title} ({y.unit})", **(LOGARITHMIC if y.log else {"rangemode": "tozero"})),
                hovermode="closest",
            ),
        },
        table=_table(view, best, x, y),
        keys=legend(series, lines=False) if len(series) > 1 else (),
    )


def _many(view: SweepView) -> list[str]:
    """All fields but the one with the fewest values, which tells the colours."""
    axes = view.axes()
    fewest = min(axes, key=lambda field: len(axes[field]), default="")
    return [field for field in axes if field != fewest]


def _cost(view: SweepView) -> Axis | None:
    for column, title in COSTS:
        name = f"{view.model}.{column}"
        values = {line[name] for line in view.done if line.get(name) is not None}
        if len({rounded(value, STATED_DIGITS) for value in values}) > 1:
            return Axis(name, title, title.rpartition(", ")[2])
    return None


def _table(view: SweepView, best: Sequence[Point], x: Axis, y: Axis) -> Html:
    lines = [
        row(view.name(point.row), number_cell(number(point.x)), number_cell(f"{number(point.y)} {y.unit}"))
        for point in best
    ]
    return table("The Pareto front", ["", x.title, y.title], [body(lines)])


def price_table(view: SweepView, rows: Sequence[Row]) -> Html:
    """What cells cost: nodes, of it for nothing, and what their tokens would be billed at stated prices."""
    model = view.model
    columns = {
        "nodes_usd_per_hour": "Nodes, USD/h",
        "idle_usd_per_hour": "of it idle",
        "usd_per_1m_output_tokens": "USD/1M output",
        "joules_per_output_token": "J/output token",
        "billed_input_usd_per_hour": "Billed input, USD/h",
        "billed_cached_input_usd_per_hour": "cached input",
        "billed_output_usd_per_hour": "output",
    }
    known = {
        key: title for key, title in columns.items() if any(r.get(f"{model}.{key}") is not None for r in rows)
    }
    lines = [row(view.name(line), *(_cell(line.get(f"{model}.{key}")) for key in known)) for line in rows]
    return table(f"What cells cost, of {model}", ["", *known.values()], [body(lines)])


def _cell(value: float | None) -> Html:
    return number_cell("\N{EM DASH}" if value is None else number(value))
