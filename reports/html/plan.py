"""The page of a plan: the answer, each objective over the values, the limits of the answer, and its cost."""

from collections.abc import Iterator, Mapping, Sequence
from math import log10
from typing import Any

from reports.html.document import Section, header, sections_page
from reports.html.figure import DASHES, LOGARITHMIC, Figure, LegendEntry, Plot, axis, layout
from reports.html.ladder import LEAD, ladder_table
from reports.html.markup import Html, Node, join, tag
from reports.html.palette import series_role
from reports.html.tables import body, number_cell, row, table
from reports.plan.answer import PRICES, answer_of, facts, lead, named, reasons, worst
from reports.plan.text import KEEPS_UP, NONE, SHORT, line_rows
from reports.words import as_chosen, in_seconds, number, plural, rounded

Plan = Mapping[str, Any]
Line = Mapping[str, Any]
SIGNS = {
    "pass": ("good", "\N{CHECK MARK}"),
    "inconclusive": ("open", "?"),
    "fail": ("bad", "\N{MULTIPLICATION SIGN}"),
}
"""By verdict: class and mark."""
FAR = 4.0
"""Times the limit."""
DECADE = 10.0
MARGIN = 0.06
"""Of a decade, beside the outermost values."""
MOST_TICKS = 12


def render_plan(plan: Plan) -> str:
    head = header(plan["scenario"], f"{plan['title']} · {_basis(plan)}")
    return sections_page(plan["title"], head, _first_screen(plan), _sections(plan)).decode()


def _first_screen(plan: Plan) -> Html:
    kind, mark = SIGNS[plan["verdict"]]
    sign = tag("span", mark, class_=f"sign {kind}", aria_hidden="true")
    found = facts(plan)
    why = [tag("li", one) for one in reasons(plan)]
    return join(
        tag("p", plan["question"], class_="question") if plan["question"] else None,
        tag("h1", sign, lead(plan), class_="sentence long"),
        tag("ul", [tag("li", tag("strong", one)) for one in found], class_="facts") if found else None,
        tag("ul", why, class_="reasons") if why else None,
    )


def _sections(plan: Plan) -> Iterator[Section]:
    figures = _figures(plan)
    if figures:
        yield Section("values", "Values", "What each value comes to", join([one.html() for one in figures]))
    if len(plan["lines"]) > 1:
        yield Section("choices", "Choices", "The choices", _choices(plan))
    yield Section("simulated", "Simulated", "What was simulated, beside the closed form", _simulated(plan))
    limits = list(_limits(plan))
    if limits:
        yield Section("limits", "Limits", "The limits of the answer", join(tag("p", LEAD), *limits))
    if plan.get("carries"):
        yield Section("load", "Load", "How much more it carries", _carries(plan))
    yield Section("reproduce", "Reproduce", "How to reproduce it", _reproduce(plan))


def _basis(plan: Plan) -> str:
    most = f", up to {plan['most_replications']:,} of undecided ones"
    return (
        f"{plural(plan['replications'], 'replication')} of each value{most}, "
        f"{in_seconds(plan['horizon_s'])} each, common random numbers, seed {plan['seed']}"
    )


def _figures(plan: Plan) -> list[Figure]:
    """One for each objective, where there are several values."""
    if plan["searched"] is None or len(plan["lines"][0]["values"]) < 2:
        return []
    found = (_figure(plan, target, number_) for number_, target in enumerate(plan["objectives"]))
    return [one for one in found if one is not None]


class _Point(dict[str, Any]):
    """`value`, `expected`, `simulated`: of one value of a line and the source that is furthest beyond."""


def _points(line: Line, target: str) -> list[_Point]:
    found = []
    for value in sorted(line["values"], key=lambda one: float(one["value"])):
        closed = [one for one in value["closed"]["held"] if one["target"] == target]
        held = [one for one in (value["simulated"] or {"held": []})["held"] if one["target"] == target]
        worst_held = max(held, key=lambda one: one["beyond"] or 0.0, default=None)
        source = worst_held["source"] if worst_held else (closed[0]["source"] if closed else None)
        expected = next((one["value"] for one in closed if one["source"] == source), None)
        found.append(_Point(value=value["value"], expected=expected, held=worst_held))
    return found


def _figure(plan: Plan, target: str, index: int) -> Figure | None:
    lines = [(line, _points(line, target)) for line in plan["lines"]]
    every = [one for _, points in lines for one in points]
    drawn = [one for one in every if one["held"] and one["held"]["value"] is not None]
    if not drawn:
        return None
    field, limit = plan["short"][plan["searched"]], drawn[0]["held"]["limit"]
    values = [value["value"] for value in plan["lines"][0]["values"]]
    quantity = target.partition("<")[0].partition(">")[0].strip()
    data = [trace for number_, (_, points) in enumerate(lines) for trace in _traces(points, number_)]
    data.append(_limit_line([min(values), max(values)], limit))
    return Figure(
        identity=f"objective-{index}",
        title=target,
        caption="Dots are simulated, with their 95 % intervals; the line is the closed form, which ends "
        "where nodes carry less than is asked. The dotted line is the limit.",
        description=f"{quantity} for each {field}, with the limit of {number(limit)}.",
        plot={
            "data": data,
            "layout": layout(
                380,
                xaxis=axis(field, **_across(values)),
                yaxis=axis(quantity, **_scale(drawn, limit)),
                hovermode="closest",
            ),
        },
        table=_points_table(plan, lines, target),
        keys=_legend(plan) if len(plan["lines"]) > 1 else (),
    )


def _across(values: Sequence[float]) -> Plot:
    """In the logarithm where values span a decade: the small ones, which matter most, would be one blot."""
    low, high = min(values), max(values)
    if low > 0 and high >= DECADE * low:
        return {**LOGARITHMIC, "range": [log10(low) - MARGIN, log10(high) + MARGIN]}
    return {"tickvals": list(values)} if len(values) <= MOST_TICKS else {}


def _scale(drawn: Sequence[_Point], limit: float) -> Plot:
    """In the logarithm where a value is so far beyond the limit that the others would be flat beside it."""
    found = [one["held"]["value"] for one in drawn]
    return (
        {"type": "log", "dtick": "D2"}
        if min(found) > 0 and max(found) > FAR * limit
        else {"rangemode": "tozero"}
    )


def _traces(points: Sequence[_Point], index: int) -> Iterator[Plot]:
    role = f"@{series_role(index)}"
    known = [one for one in points if one["expected"] is not None]
    yield {
        "type": "scatter",
        "mode": "lines",
        "x": [one["value"] for one in known],
        "y": [rounded(one["expected"]) for one in known],
        "line": {"color": role, "width": 1.5, "dash": DASHES[index % len(DASHES)]},
        "name": "closed form",
        "hovertemplate": "closed form: %{y:,.4~g}<extra></extra>",
        "meta": {"series": f"line-{index}"},
    }
    held = [one for one in points if one["held"] and one["held"]["value"] is not None]
    ends = [_ends(one["held"]) for one in held]
    yield {
        "type": "scatter",
        "mode": "markers",
        "x": [one["value"] for one in held],
        "y": [rounded(one["held"]["value"]) for one in held],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [rounded(above) for _, above in ends],
            "arrayminus": [rounded(below) for below, _ in ends],
            "color": role,
        },
        "marker": {"color": role, "size": 9},
        "name": "simulated",
        "hovertemplate": "simulated: %{y:,.4~g}<extra></extra>",
        "meta": {"series": f"line-{index}"},
    }


def _ends(held: Mapping[str, Any]) -> tuple[float, float]:
    """How far the interval reaches down and up."""
    if held["low"] is None or held["high"] is None:
        return 0.0, 0.0
    return held["value"] - held["low"], held["high"] - held["value"]


def _limit_line(ends: Sequence[float], limit: float) -> Plot:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": list(ends),
        "y": [limit, limit],
        "line": {"color": "@text", "width": 1.5, "dash": "dot"},
        "name": "limit",
        "hoverinfo": "skip",
    }


def _legend(plan: Plan) -> tuple[LegendEntry, ...]:
    return tuple(
        LegendEntry(line["name"], series_role(index), dash=index % len(DASHES), series=f"line-{index}")
        for index, line in enumerate(plan["lines"])
    )


def _points_table(plan: Plan, lines: Sequence[tuple[Line, Sequence[_Point]]], target: str) -> Html:
    bodies = [
        body(
            [
                row(
                    as_chosen(one["value"]),
                    number_cell(_number(one["expected"])),
                    number_cell(_number(one["held"]["value"] if one["held"] else None)),
                )
                for one in points
            ],
            line["name"] or None,
            3,
        )
        for line, points in lines
    ]
    return table(target, [plan["short"][plan["searched"]], "Closed form", "Simulated"], bodies)


def _number(value: float | None) -> str:
    return "\N{EM DASH}" if value is None else number(value)


def _choices(plan: Plan) -> Html:
    unit = PRICES.get(plan["priced_by"] or "", "Price not stated")
    lines = []
    for number_, line in enumerate(plan["lines"]):
        if line["answer"] is None:
            done = [one for one in line["values"] if one["simulated"]]
            why: Node = worst(done[-1]["simulated"]) if done else ""
            lines.append(row(line["name"], SHORT[line["verdict"]], number_cell(NONE), why))
            continue
        name: Node = tag("strong", named(plan, line)) if number_ == plan["best"] else named(plan, line)
        cost = "\N{EM DASH}" if line["cost"] is None else number(line["cost"])
        closed = line["by_closed_form"]
        by_form = "none would do" if closed is None else f"{line['values'][closed]['value']}"
        held = answer_of(line)["simulated"]["held"]
        told = f"by the closed form {by_form}; {'; '.join(one['sentence'] for one in held)}"
        lines.append(row(name, SHORT[line["verdict"]], number_cell(cost), told))
    return table("Each choice with its answer", ["", "Verdict", unit, "Why"], [body(lines)])


def _simulated(plan: Plan) -> Html:
    bodies = [
        body(
            [row(*cells[:4], *(number_cell(cell) for cell in cells[4:])) for cells in line_rows(plan, line)],
            line["name"] or None,
            7,
        )
        for line in plan["lines"]
    ]
    columns = ["", "Verdict", "Binds first", "Objective", "Closed form", "Simulated", "Replications"]
    failed = [
        tag("li", held["sentence"])
        for line in plan["lines"]
        for value in line["values"]
        for held in (value["simulated"] or {"held": []})["held"]
        if held["target"] == KEEPS_UP
    ]
    more = join(tag("p", "Values that do not keep up:"), tag("ul", failed)) if failed else None
    return join(table("Every value that was simulated", columns, bodies), more)


def _limits(plan: Plan) -> Iterator[Html]:
    if plan["best"] is not None:
        line = plan["lines"][plan["best"]]
        for ladder in answer_of(line)["closed"]["ladders"]:
            yield ladder_table(named(plan, line), ladder)


def _carries(plan: Plan) -> Html:
    line, stated = plan["carries"]["line"], plan["carries"]["arrivals_per_s"]
    rows = [
        row(
            f"{number(value['value'])} x",
            number_cell(number(value["value"] * stated)),
            SHORT[value["simulated"]["verdict"]],
            worst(value["simulated"]),
        )
        for value in reversed(line["values"])
        if value["simulated"]
    ]
    columns = ["Of the stated arrivals", "Arrivals/s", "Verdict", "Why"]
    return table("More load on the answer", columns, [body(rows)])


def _reproduce(plan: Plan) -> Html:
    version = plan["version"]
    told = f"e80sim {version['e80sim']}, code {version['code']}, numpy {version['numpy']}."
    where = (
        "Beside this page lie plan.json with every number, and cells/ with what each simulated value rests "
        "on. Cells that are there are not simulated again."
    )
    return join(tag("p", told), tag("p", where))
