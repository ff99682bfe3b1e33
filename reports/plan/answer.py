"""A plan in a few sentences: what is enough, how sure that is, what it costs, what the closed form says."""

from collections.abc import Iterator, Mapping
from typing import Any

from reports.plan.why import why_they_differ
from reports.targets import FAIL, INCONCLUSIVE, PASS
from reports.words import as_chosen, number, plural, share

Plan = Mapping[str, Any]
Line = Mapping[str, Any]
Value = Mapping[str, Any]
PRICES = {"nodes_usd_per_hour": "USD per hour", "usd_per_1m_output_tokens": "USD per million output tokens"}
REFUSED = 0.001
"""Share of refused requests from which on latencies are told to be those of the others."""


def sentences(plan: Plan) -> list[str]:
    """The answer first, then what speaks for and against it."""
    return [lead(plan), *facts(plan), *reasons(plan)]


def lead(plan: Plan) -> str:
    best = plan["best"]
    return _none(plan) if best is None else _answer(plan, plan["lines"][best])


def facts(plan: Plan) -> list[str]:
    """What its neighbour shows, what it costs, what more it carries; without an answer how near any came."""
    best = plan["best"]
    if best is None:
        return [*_nearest(plan), *_undecided_of_all(plan)]
    line = plan["lines"][best]
    return [*_before(plan, line), *_cost(plan, line), *_carries(plan)]


def reasons(plan: Plan) -> list[str]:
    """What to know before trusting it, and why the closed form has another answer."""
    best = plan["best"]
    if best is None:
        return [*(one for line in plan["lines"] for one in why_they_differ(plan, line)), *plan["notes"]]
    line = plan["lines"][best]
    return [
        *_after(plan, line),
        *_disorders(plan, line),
        *why_they_differ(plan, line),
        *_dearer(plan, line),
        *_refused(line),
        *plan["notes"],
    ]


def _disorders(plan: Plan, line: Line) -> Iterator[str]:
    for met, missed in line["disorders"]:
        yield (
            f"The order does not hold: {told(plan, met)} meets the objectives and {told(plan, missed)} does "
            "not. Values that were not simulated may be better or worse: `e80sim sweep` shows them all."
        )


def told(plan: Plan, value: float | str) -> str:
    """A value with its field's short name."""
    if plan["searched"] is None:
        return "it"
    return f"{plan['short'][plan['searched']]} {as_chosen(value)}" if not isinstance(value, str) else value


def named(plan: Plan, line: Line) -> str:
    """The answer of a line, such as `h100, nodes 3`."""
    value = "" if plan["searched"] is None else told(plan, answer_of(line)["value"])
    return ", ".join(filter(None, [line["name"], value])) or "the scenario as it stands"


def answer_of(line: Line) -> Value:
    found: Value = line["values"][line["answer"]]
    return found


def objectives(plan: Plan) -> str:
    return " and ".join(plan["objectives"])


def _answer(plan: Plan, line: Line) -> str:
    simulated = answer_of(line)["simulated"]
    sure = (
        f"its 95 % intervals over {plural(simulated['replications'], 'replication')} lie within every limit"
    )
    if plan["searched"] is None:
        return f"{named(plan, line)} meets {objectives(plan)}: {sure}."
    before = None if not line["answer"] else line["values"][line["answer"] - 1]["simulated"]
    surely = " surely" if before and before["verdict"] == INCONCLUSIVE else ""
    several = " of all choices" if len(plan["lines"]) > 1 else ""
    cheapest = several and plan["priced_by"] and plan["direction"] == "smallest"
    what = (
        f"is the cheapest{several} that{surely} meets"
        if cheapest
        else f"is the {plan['direction']} value of {plan['searched']} that{surely} meets"
    )
    return f"{named(plan, line)} {what} {objectives(plan)}: {sure}."


def _before(plan: Plan, line: Line) -> Iterator[str]:
    """Whether the value just short of the answer surely misses."""
    if plan["searched"] is None:
        return
    if line["answer"] == 0:
        end = "first" if plan["direction"] == "smallest" else "last"
        yield f"It is the {end} value of the range: one beyond it may do as well."
        return
    value = line["values"][line["answer"] - 1]
    found = value["simulated"]
    if found is None:
        return
    if found["verdict"] == FAIL:
        yield f"With {told(plan, value['value'])} {worst(found)}."
    elif found["verdict"] == INCONCLUSIVE:
        yield _undecided(plan, value)


def _after(plan: Plan, line: Line) -> Iterator[str]:
    """Nothing where it meets them, too, as it should."""
    if line["answer"] + 1 < len(line["values"]):
        value = line["values"][line["answer"] + 1]
        if value["simulated"] and value["simulated"]["verdict"] == INCONCLUSIVE:
            yield _undecided(plan, value)


def _undecided(plan: Plan, value: Value) -> str:
    found = value["simulated"]
    after = plural(found["replications"], "replication")
    return f"With {told(plan, value['value'])} nothing is decided after {after}: {worst(found)}."


def worst(found: Value) -> str:
    """What decided against a value, or left it open."""
    if found["failure"]:
        return f"it could not be simulated: {found['failure']}"
    order = (FAIL, INCONCLUSIVE, PASS)
    held = sorted(found["held"], key=lambda one: (order.index(one["verdict"]), -_beyond(one)))
    return str(held[0]["sentence"]).rstrip(".")


def _beyond(held: Value) -> float:
    return float("inf") if held["beyond"] is None else float(held["beyond"])


def _none(plan: Plan) -> str:
    undecided = plan["verdict"] == INCONCLUSIVE
    surely = "surely meets" if undecided else "meets"
    if plan["searched"] is None:
        return f"No choice {surely} {objectives(plan)}."
    values = [value["value"] for value in plan["lines"][0]["values"]]
    span = (
        f"from {as_chosen(min(values))} to {as_chosen(max(values))}"
        if len(values) > 1
        else as_chosen(values[0])
    )
    return f"No value of {plan['searched']} {span} {surely} {objectives(plan)}."


def _nearest(plan: Plan) -> Iterator[str]:
    """How close each line came: the simulated value that is least beyond its limits."""
    for line in plan["lines"]:
        done = [value for value in line["values"] if value["simulated"] and not value["simulated"]["failure"]]
        if not done:
            continue
        best = min(done, key=lambda value: max(map(_beyond, value["simulated"]["held"]), default=0.0))
        where = ", ".join(filter(None, [line["name"], _value(plan, best)])) or "it"
        yield f"The nearest is {where}: {worst(best['simulated'])}{_far(best['simulated'])}."


def _far(found: Value) -> str:
    """How far beyond its limit the number is that misses it most."""
    held = max(found["held"], key=_beyond, default=None)
    if held is None or held["beyond"] is None or held["beyond"] <= 1:
        return ""
    times = number(held["beyond"])
    return f", {times} times its limit" if held["at_most"] else f", whose limit is {times} times as much"


def _value(plan: Plan, value: Value) -> str:
    return "" if plan["searched"] is None else told(plan, value["value"])


def _undecided_of_all(plan: Plan) -> Iterator[str]:
    if plan["verdict"] == INCONCLUSIVE:
        yield (
            f"More than {plural(plan['most_replications'], 'replication')} may decide it: raise "
            "--max-replications, or run.horizon_s."
        )


def _cost(plan: Plan, line: Line) -> Iterator[str]:
    row, parts = answer_of(line)["simulated"]["row"], list[str]()
    for model in plan["models"]:
        of = f" for {model}" if len(plan["models"]) > 1 else ""
        hour, idle = row.get(f"{model}.nodes_usd_per_hour"), row.get(f"{model}.idle_usd_per_hour")
        if hour is not None:
            unused = "" if not idle else f", of which {number(idle)} for nodes without work"
            parts.append(f"{number(hour)} USD per hour{of}{unused}")
        tokens = row.get(f"{model}.usd_per_1m_output_tokens")
        if tokens is not None:
            parts.append(f"{number(tokens)} USD per million output tokens{of}")
        joules = row.get(f"{model}.joules_per_output_token")
        if joules is not None:
            parts.append(f"{number(joules)} J per output token{of}")
    if parts:
        yield f"It costs {', '.join(parts)}."
    else:
        yield "What it costs nobody knows: neither price nor power of its hardware is stated."


def _dearer(plan: Plan, best: Line) -> Iterator[str]:
    """The other choices, and what they cost."""
    others = [line for line in plan["lines"] if line is not best]
    unit = PRICES.get(plan["priced_by"] or "", "")
    for line in others:
        if line["answer"] is None:
            yield f"{line['name']}: no value surely meets them."
        elif line["cost"] is not None:
            yield f"{named(plan, line)} meets them, too, for {number(line['cost'])} {unit}."
        else:
            yield f"{named(plan, line)} meets them, too."
    if others and not unit:
        yield "Which is cheapest cannot be told: state hardware.usd_per_hour of each."


def _carries(plan: Plan) -> Iterator[str]:
    found = plan.get("carries")
    if not found:
        return
    line, stated = found["line"], found["arrivals_per_s"]
    factor = answer_of(line)["value"] if line["answer"] is not None else 1.0
    most = line["answer"] == 0
    yield (
        f"It carries {'at least ' if most else ''}{number(stated * factor)} arrivals/s while it meets them, "
        f"{number(factor)} times what is asked{'' if most else ' (to 5 %)'}."
    )


def _refused(line: Line) -> Iterator[str]:
    refused = answer_of(line)["simulated"]["refused"]
    if refused >= REFUSED:
        yield (
            f"{share(refused)} of its requests are refused: latencies are those of the others; an objective "
            "on attainment counts them."
        )
