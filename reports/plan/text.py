"""A plan for a terminal: the answer, then each value that was simulated, with the closed form beside it."""

from collections.abc import Iterator, Mapping
from typing import Any

from reports.plan.answer import sentences, told
from reports.terminal import columns
from reports.text import wrapped
from reports.words import number

Plan = Mapping[str, Any]
NONE = "-"
KEEPS_UP = "keeps up"
"""What every value has to do, besides the objectives."""
MOST_LINES = 40
"""Of the table."""
HEAD = ["", "", "binds", "objective", "closed form", "simulated", "reps"]
SHORT = {"pass": "meets", "fail": "misses", "inconclusive": "undecided"}


def plan_text(plan: Plan) -> str:
    lines = [line for sentence in sentences(plan) for line in wrapped(sentence)]
    left = MOST_LINES
    for one in plan["lines"]:
        rows = list(line_rows(plan, one))
        if not rows or left <= 0:
            continue
        lines += ["", *wrapped(one["name"])] if one["name"] else [""]
        lines += columns([HEAD, *rows[:left]], left=4, shrinking=(2, 3))
        left -= len(rows)
    if left < 0:
        lines += wrapped(f"These are the first {MOST_LINES} lines of it; plan.json has all.")
    return "\n".join(lines)


def line_rows(plan: Plan, line: Mapping[str, Any]) -> Iterator[list[str]]:
    """Of each value of a line that was simulated, a row per objective and source."""
    for value in sorted(line["values"], key=_in_order):
        if value["simulated"] is not None:
            yield from _rows(plan, value)


def _in_order(value: Mapping[str, Any]) -> Any:  # noqa: ANN401 -- numbers, or nothing
    return 0 if value["value"] is None else value["value"]


def _rows(plan: Plan, value: Mapping[str, Any]) -> Iterator[list[str]]:
    found, closed = value["simulated"], value["closed"]
    where = "" if plan["searched"] is None else told(plan, value["value"])
    rungs = [ladder["rungs"][0] for ladder in closed["ladders"] if ladder["rungs"]]
    first = min(rungs, key=lambda one: float(one["times"]), default=None)
    binds = NONE if first is None else f"{first['title'].partition(' (')[0]} {number(first['times'])} x"
    numbers = [held for held in found["held"] if held["target"] != KEEPS_UP]
    state = SHORT[found["verdict"]] if len(numbers) == len(found["held"]) else "overloaded"
    alone = len(plan["sources"]) == 1
    if found["failure"]:
        yield [where, "failed", binds, NONE, NONE, NONE, str(found["replications"])]
    for count, held in enumerate(numbers):
        begins = [where, state, binds] if count == 0 else ["", "", ""]
        named = alone or held["source"] is None or ":" in held["target"]
        objective = held["target"] if named else f"{held['source']}: {held['target']}"
        yield [
            *begins,
            objective,
            NONE if (expected := expected_of(closed, held)) is None else number(expected),
            shown(held),
            str(found["replications"]) if count == 0 else "",
        ]


def expected_of(closed: Mapping[str, Any], held: Mapping[str, Any]) -> float | None:
    """What the closed form has for it."""
    same = (
        one for one in closed["held"] if (one["target"], one["source"]) == (held["target"], held["source"])
    )
    found = next(same, None)
    return None if found is None else found["value"]


def shown(held: Mapping[str, Any]) -> str:
    """A number with its interval."""
    if held["value"] is None:
        return NONE
    if held["low"] is None:
        return number(held["value"])
    return f"{number(held['value'])} ({number(held['low'])} to {number(held['high'])})"
