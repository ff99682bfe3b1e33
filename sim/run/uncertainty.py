"""What the ranges of derived and assumed values make of an answer: the scenario again, with values drawn.

Every draw is a scenario that a user could have written: drawn values stand in it as stated ones. All draws
and variants share the replications' random numbers, so that what differs comes from the values.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import get_args

import numpy as np
from numpy.random import Generator

from e80sim.mistakes import UserError
from hwmodels.spec import HardwareSpec
from hwmodels.value import Value
from reports.columns import Floats
from reports.headlines import Headlines, headlines
from reports.metrics import Window
from reports.tables import concat
from reports.uncertainty import Input, Study
from sim.network import Network
from sim.run.measured_window import warm_up_of
from sim.run.replications import Outcome, Results, Task, outcomes_of
from sim.run.report_context import facts, legs
from sim.scenario.check import problems
from sim.scenario.load import Plan
from sim.scenario.schema import Scenario
from sim.time.streams import stream
from sim.time.units import PS_PER_S
from sim.workers.executor import Tell

STREAM = "uncertainty"
UNCERTAIN = ("derived", "assumed")
REPLICATIONS = 3
"""Of each draw at most: chance is common to all draws, and the interval of the run itself tells of it."""
WIDE = 10
"""A range whose ends differ by more than this factor is a matter of orders of magnitude: log-uniform."""


@dataclass(frozen=True, slots=True)
class Uncertain:
    """A value with a range. Equal ones are one: variants and models of the same hardware share its draws."""

    name: str
    low: float
    high: float
    confidence: str
    hardware: tuple[str, str] | None = None
    """Preset and LLM; None of a value of the network."""
    model: str | None = field(default=None, compare=False)
    """The first that rests on it, by its name in the scenario."""
    variants: tuple[str, ...] = field(default=(), compare=False)
    """All that rest on it."""

    def at(self, share: float) -> float:
        """The value below which `share` of the range lies."""
        if self.low > 0 and self.high > WIDE * self.low:
            return float(self.low * (self.high / self.low) ** share)
        return self.low + share * (self.high - self.low)


@dataclass(frozen=True, slots=True)
class Ranges:
    """What a study rests on that nobody has measured or published."""

    uncertain: tuple[Uncertain, ...]
    unbounded: tuple[str, ...]
    """Derived and assumed values without a range: they stay as they are."""


@dataclass(frozen=True, slots=True)
class Draws:
    ranges: Ranges
    values: Floats
    """A row per draw, a column per uncertain value."""
    scenarios: Sequence[Mapping[str, Scenario]]
    """The variants of each draw."""


def ranges_of(variants: Mapping[str, Scenario]) -> Ranges:
    found: dict[Uncertain, dict[str, None]] = {}
    unbounded: dict[str, None] = {}
    for variant, scenario in variants.items():
        for value, owner, model in _values(scenario):
            if value.confidence not in UNCERTAIN or value.source == "scenario":
                continue
            if value.low is None or value.high is None:
                unbounded[value.name if model is None else f"{value.name} of {model}"] = None
            elif value.low < value.high:
                made = Uncertain(value.name, value.low, value.high, value.confidence, owner, model)
                found.setdefault(made, {})[variant] = None
    uncertain = tuple(replace(one, variants=tuple(resting)) for one, resting in found.items())
    return Ranges(uncertain, tuple(unbounded))


def latin_hypercube(rng: Generator, draws: int, values: int) -> Floats:
    """(draws, values) shares: each value has exactly one in each of `draws` equal parts of [0, 1).

    Our own rather than scipy.stats.qmc's, so that a seed draws the values that it always drew.
    """
    cells = rng.permuted(np.tile(np.arange(draws), (values, 1)), axis=1).T
    shares: Floats = (cells + rng.random((draws, values))) / draws
    return shares


def perturbed(scenario: Scenario, drawn: Mapping[Uncertain, float]) -> Scenario:
    """`scenario` with the drawn values stated in it."""
    models = {}
    for name, model in scenario.models.items():
        # A variant may state the value itself, or choose a fit with another range.
        own = {(value.name, value.low, value.high) for value in model.build_hardware().values}
        mine = {
            one.name: _fitting(model.hardware, one.name, value)
            for one, value in drawn.items()
            if one.hardware == (model.hardware.preset, model.llm) and (one.name, one.low, one.high) in own
        }
        hardware = model.hardware.model_copy(update=mine)
        models[name] = model.model_copy(update={"hardware": hardware})
    on_the_way = {one.name: value for one, value in drawn.items() if one.hardware is None}
    network = scenario.network.model_copy(update={"values": {**on_the_way, **scenario.network.values}})
    return scenario.model_copy(update={"models": models, "network": network})


def draw(plan: Plan, draws: int) -> Draws:
    """Raises UserError where a range reaches to values with which a variant cannot run."""
    ranges = ranges_of(plan.variants)
    shares = latin_hypercube(stream(plan.base.run.seed, 0, STREAM), draws, len(ranges.uncertain))
    columns = [
        [one.at(share) for share in column] for one, column in zip(ranges.uncertain, shares.T, strict=True)
    ]
    values = np.array(columns, np.float64).T.reshape(shares.shape)
    scenarios = []
    for row in values if ranges.uncertain else ():
        drawn = dict(zip(ranges.uncertain, map(float, row), strict=True))
        scenarios.append({name: perturbed(one, drawn) for name, one in plan.variants.items()})
        _require_runnable(scenarios[-1])
    return Draws(ranges, values, scenarios)


def study(plan: Plan, results: Results, draws: Draws, *, jobs: int, engine: str, tell: Tell) -> Study:
    """The headlines of every draw, over the window of `results`; after an interrupt of the complete ones."""
    replications = range(min(REPLICATIONS, results.replications))
    tasks = [
        Task(name, scenario, plan.base.run.seed, replication, engine)
        for variants in draws.scenarios
        for replication in replications
        for name, scenario in variants.items()
    ]
    outcomes = outcomes_of(tasks, jobs, tell) if tasks else iter(())
    found = list(_headlines(plan, results, outcomes, len(replications) * len(plan.variants)))
    return Study(
        inputs=tuple(
            Input(one.name, one.model, one.low, one.high, one.confidence, one.variants)
            for one in draws.ranges.uncertain
        ),
        values=draws.values[: len(found)],
        results=found,
        asked=len(draws.scenarios),
        unbounded=draws.ranges.unbounded,
        replications=len(replications),
        baseline=results.variants[0],
    )


def _values(scenario: Scenario) -> Iterator[tuple[Value, tuple[str, str] | None, str | None]]:
    """With preset and LLM, and the model, that each belongs to."""
    for name, model in scenario.models.items():
        for value in model.build_hardware().values:
            if value.name in type(model.hardware).model_fields:
                yield value, (model.hardware.preset, model.llm), name
    for value in Network(scenario.network).values(legs(scenario)):
        yield value, None, None


def _fitting(hardware: HardwareSpec, name: str, value: float) -> float | int:
    kinds = get_args(type(hardware).model_fields[name].annotation)
    return round(value) if int in kinds and float not in kinds else value


def _require_runnable(variants: Mapping[str, Scenario]) -> None:
    for name, scenario in variants.items():
        wrong = next(problems(scenario), None)
        if wrong is not None:
            raise UserError(
                f"the range of a value reaches to where {name} cannot run: {wrong.sentence}; "
                "or state that value in the scenario"
            )


def _headlines(
    plan: Plan, results: Results, outcomes: Iterator[Outcome], per_draw: int
) -> Iterator[Headlines]:
    window = Window.of(warm_up_of(plan, results).seconds, results.measured_ps / PS_PER_S)
    known = facts(plan, results.variants)
    while len(batch := list(islice(outcomes, per_draw))) == per_draw:
        if not all(outcome.complete for outcome in batch):
            return
        yield headlines(concat(outcome.tables for outcome in batch), known, window)
