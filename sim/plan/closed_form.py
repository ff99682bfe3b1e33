"""What the closed form says of a point: whether all limits leave room, and what it expects of each target."""

import math
import pickle
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from reports.targets import FAIL, PASS, RATES, Target, parse
from sim.bounds.expected import Expected, expected_of
from sim.bounds.ladder import OF_NODES, Ladder, ladders_of
from sim.scenario.check import target_model
from sim.scenario.schema import Scenario
from sim.workers.executor import Tell

STOP = (*OF_NODES, "gateway", "network_line")
"""Limits beyond which waiting grows without end; of the others some refuse, and the queue has a number."""
ELSEWHERE = (*STOP, "queue_wait")
NEGLIGIBLE = 1e-9
"""Of a limit, between two points: rounding."""


class ClosedTask(NamedTuple):
    """What travels to whoever works it out."""

    packed: bytes
    targets: tuple[str, ...]


class Closed(NamedTuple):
    """Of one point."""

    meets: bool
    held: tuple[dict[str, Any], ...]
    """As of `Held`, of targets that it can say anything of."""
    ladders: tuple[dict[str, Any], ...]
    """Of each model with traffic, the lowest limit first."""
    sources: Mapping[str, Mapping[str, float]]
    """By source, the means that it rests on."""

    @property
    def times(self) -> tuple[float, ...]:
        """Of the asked load, by model and limit in the order of their names: to compare points by."""
        rungs = [
            (ladder["model"], rung["limit"], rung["times"])
            for ladder in self.ladders
            for rung in ladder["rungs"]
        ]
        return tuple(times for _, _, times in sorted(rungs))


def task_of(scenario: Scenario, targets: Sequence[Target]) -> ClosedTask:
    return ClosedTask(zlib.compress(pickle.dumps(scenario)), tuple(one.text for one in targets))


def solved(task: ClosedTask, _tell: Tell) -> Closed:
    scenario: Scenario = pickle.loads(zlib.decompress(task.packed))  # noqa: S301 -- packed above
    ladders, expected = ladders_of(scenario), expected_of(scenario)
    targets = [parse(text) for text in task.targets]
    full = [rung for one in ladders.values() for rung in one.rungs if rung.limit in STOP and rung.times < 1]
    found = [] if full else [one for target in targets for one in _held(target, scenario, ladders, expected)]
    return Closed(
        meets=not full and all(one["verdict"] == PASS for one in found),
        held=tuple(found),
        ladders=tuple(one.json() for one in ladders.values()),
        sources={
            name: {"queue_s": one.queue_s, "step_s": one.step_s, "batch": one.batch}
            for name, one in expected.items()
        },
    )


def _held(
    target: Target, scenario: Scenario, ladders: Mapping[str, Ladder], expected: Mapping[str, Expected]
) -> list[dict[str, Any]]:
    if target.quantity in RATES:
        value = _rate(target.quantity, scenario, ladders, expected)
        return [] if value is None else [_judged(target, None, value)]
    found = []
    for name, one in expected.items():
        if target.source in {None, name}:
            value = _of_source(target, one, _let_in(ladders, target_model(scenario, scenario.traffic[name])))
            found += [] if value is None else [_judged(target, name, value)]
    return found


def _of_source(target: Target, expected: Expected, let_in: float) -> float | None:
    if not target.is_latency:
        return expected.attainment * let_in
    value = expected.answers().get(target.metric, {}).get(target.statistic)
    return None if value is None else value * target.per_unit


def _rate(
    quantity: str, scenario: Scenario, ladders: Mapping[str, Ladder], expected: Mapping[str, Expected]
) -> float | None:
    """Of a whole variant, where all of it is requests that the closed form knows."""
    if set(expected) != set(scenario.traffic):
        return None
    rates = {name: one.rate_per_s for name, one in expected.items()}
    served = {
        name: rate * _let_in(ladders, target_model(scenario, scenario.traffic[name]))
        for name, rate in rates.items()
    }
    if quantity == "offered_per_s":
        return sum(rates.values())
    if quantity == "rejected_per_s":
        return sum(rates.values()) - sum(served.values())
    if quantity == "output_tokens_per_s":
        return sum(rate * expected[name].output_tokens for name, rate in served.items())
    shares = {name: expected[name].attainment if quantity == "goodput_per_s" else 1.0 for name in served}
    return sum(rate * shares[name] for name, rate in served.items())


def _let_in(ladders: Mapping[str, Ladder], model: str) -> float:
    """The share of its requests that limits of requests and tokens leave: the rest is refused."""
    limits = [rung.times for rung in ladders[model].rungs if rung.limit not in ELSEWHERE]
    return min([1.0, *limits])


def _judged(target: Target, source: str | None, value: float) -> dict[str, Any]:
    met = value <= target.limit if target.at_most else value >= target.limit
    return {
        "target": target.text,
        "source": source,
        "verdict": PASS if met else FAIL,
        "value": value if math.isfinite(value) else None,
    }


def lowest(ladders: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The rung of all models that binds at the least share of what is asked."""
    rungs = [rung for ladder in ladders for rung in ladder["rungs"][:1]]
    return min(rungs, key=lambda rung: float(rung["times"]), default=None)


def direction(first: Closed, last: Closed) -> str | None:
    """`smallest` where limits bind later with a larger value, `largest` where earlier; None where neither.

    Where some bind later and others earlier, the lowest one tells.
    """
    if len(first.times) != len(last.times):
        return None
    later = [b > a * (1 + NEGLIGIBLE) for a, b in zip(first.times, last.times, strict=True)]
    earlier = [b < a * (1 - NEGLIGIBLE) for a, b in zip(first.times, last.times, strict=True)]
    if any(later) and any(earlier):
        one, other = (min(closed.times) for closed in (first, last))
        return None if one == other else "smallest" if other > one else "largest"
    return "smallest" if any(later) else "largest" if any(earlier) else None
