"""Why the closed form and the simulation of a line agree or differ, read off the value where they part."""

from collections.abc import Iterator, Mapping
from typing import Any

from reports.targets import FAIL, INCONCLUSIVE, PASS
from reports.words import as_chosen, duration, number

Plan = Mapping[str, Any]
Line = Mapping[str, Any]
Value = Mapping[str, Any]
NEAR = 0.1
"""Of a number: closer than this the two agree."""
LATER = "it rests on the mean batch, and chance has larger ones"
SOONER = "it is of an endless run, in which queues become longer than in one that begins empty"
BEYOND = "its intervals reach beyond the limits, and a closed form has no intervals"
LONGER = 1.05
"""A step that takes so many times what the closed form has for it."""


def why_they_differ(plan: Plan, line: Line) -> Iterator[str]:
    """A sentence, or two."""
    answer, closed = line["answer"], line["by_closed_form"]
    if plan["searched"] is None:
        value = line["values"][0]
        if value["simulated"] and not value["simulated"]["failure"]:
            yield from _numbers(value)
        return
    if closed is None:
        yield (
            f"By the closed form none would do: {_limit(line['values'][-1])}."
            if answer is not None
            else f"Nor does any by the closed form: {_limit(line['values'][-1])}."
        )
    elif closed == answer:
        yield "The closed form gives the same answer."
        yield from _numbers(line["values"][closed])
    else:
        yield _by_closed_form(plan, line["values"][closed], too_few=answer is None or closed < answer)


def _by_closed_form(plan: Plan, value: Value, *, too_few: bool) -> str:
    """Where the two answers differ: at the closed form's, which was simulated."""
    name = f"{plan['short'][plan['searched']]} {as_chosen(value['value'])}"
    silent = "" if value["closed"]["held"] else ", which has no number for that and counts limits alone,"
    head = f"By the closed form{silent} {name} would do ({_limit(value)})"
    found = value["simulated"]
    if found is None or found["failure"]:
        return f"{head}."
    if not too_few:
        return f"{head}, and less is enough: its queue is that of Poisson arrivals, and sizes are means."
    return f"{head}, which the simulation does not bear out: {'; '.join(_reasons(value))}."


def _reasons(value: Value) -> list[str]:
    """The largest cause first, as far as numbers tell it."""
    found, closed = value["simulated"], value["closed"]
    reasons = [_parted(one, _expected(closed, one)) for one in found["held"] if one["verdict"] == FAIL]
    if any(one["target"] == "keeps up" for one in found["held"]):
        reasons = [f"waiting grows, since {_limit(value)} leaves no room for chance"]
    if not reasons and found["verdict"] == INCONCLUSIVE:
        known = all(one["low"] is not None for one in found["held"])
        return [BEYOND if known else "its requests are too few to tell"]
    return [*reasons, *_causes(value)]


def _parted(held: Mapping[str, Any], expected: float | None) -> str:
    if expected is None:
        return f"of {held['target']} a closed form says nothing, and {held['sentence']}"
    return f"{held['sentence']}, where the closed form has {number(expected)}"


def _expected(closed: Mapping[str, Any], held: Mapping[str, Any]) -> float | None:
    return next(
        (
            one["value"]
            for one in closed["held"]
            if (one["target"], one["source"]) == (held["target"], held["source"])
        ),
        None,
    )


def _causes(value: Value) -> Iterator[str]:
    """What took longer than the closed form has it, by source: waiting, and steps."""
    found, closed = value["simulated"], value["closed"]
    for source, means in closed["sources"].items():
        waited = found["queue_s"].get(source)
        of = f" of {source}" if len(closed["sources"]) > 1 else ""
        if waited is not None and waited > means["queue_s"] * (1 + NEAR):
            pooled = ", in which all nodes share a queue" if _nodes(value) > 1 else ""
            expected = f"{duration(means['queue_s'])} by the closed form{pooled}"
            yield f"requests{of} wait {duration(waited)} on average, and {expected}"
        between = found["row"].get(f"{source}.tpot_mean_s")
        if between is not None and between > LONGER * means["step_s"]:
            expected = duration(means["step_s"])
            yield f"a token{of} takes {duration(between)}, and the closed form's step {expected}"


def _nodes(value: Value) -> int:
    return max((ladder["nodes"] for ladder in value["closed"]["ladders"]), default=1)


def _numbers(value: Value) -> Iterator[str]:
    """How far the two are apart where they agree on the answer."""
    told, sooner = list[str](), list[bool]()
    for one in value["simulated"]["held"]:
        expected = _expected(value["closed"], one)
        if expected is None or one["value"] is None or one["verdict"] != PASS:
            continue
        apart = abs(expected - one["value"]) > NEAR * abs(one["value"])
        if apart:
            told.append(f"{_of(one)}{number(expected)} and simulated {number(one['value'])}")
            sooner.append(expected > one["value"])
    if told:
        causes = list(_causes(value)) or [SOONER if all(sooner) else LATER]
        yield f"Its numbers differ ({', '.join(told)}): {'; '.join(causes)}."


def _of(held: Mapping[str, Any]) -> str:
    named = held["source"] is None or ":" in held["target"]
    source = "" if named else f"{held['source']}, "
    return f"{source}{held['target']}: "


def _limit(value: Value) -> str:
    """What binds first, over all models."""
    rungs = [ladder["rungs"][0] for ladder in value["closed"]["ladders"] if ladder["rungs"]]
    if not rungs:
        return "no limit binds"
    rung = min(rungs, key=lambda one: float(one["times"]))
    return f"{rung['title']} binds first, at {number(rung['times'])} times the load"
