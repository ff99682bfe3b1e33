"""How much more a deployment carries while it meets the objectives: all its arrivals times a factor."""

import math
from typing import NamedTuple

from sim.plan.closed_form import STOP, Closed, task_of
from sim.plan.line import Line, MakeCell
from sim.plan.planning import Means, Work, search, solve_all
from sim.plan.question import Question
from sim.scenario.schema import Scenario
from sim.study.sweep import Cell, cell_of
from traffic.arrivals import ConstantArrivals, GammaArrivals, PoissonArrivals

STEP = 1.05
"""A rate is told to 5 %."""
BEYOND = 1.3
"""Of what the closed form says that nodes carry: there even a pessimistic one is passed."""
MOST = 1000.0
"""Times the load: further nobody looks."""
SCALED = (ConstantArrivals, PoissonArrivals, GammaArrivals)
"""Arrivals whose `rate_per_s` is all that there is of their rate."""


class Headroom(NamedTuple):
    line: Line
    arrivals_per_s: float
    """Of all sources, as the scenario states them."""


def headroom(
    question: Question, scenario: Scenario, variant: str, closed: Closed, means: Means, work: Work
) -> Headroom | None:
    """`closed` is of the scenario as it stands. None where a source has other arrivals than of one rate.

    Raises:
        StoppedError: interrupted.

    """
    sources = scenario.traffic.values()
    if not all(isinstance(source.arrivals, SCALED) for source in sources):
        return None
    factors = [STEP**step for step in range(_steps(closed), -1, -1)]
    tasks = (task_of(_times(scenario, factor), question.targets) for factor in factors)
    solved = solve_all(tasks, len(factors), means, work)
    line = Line("arrivals", variant, factors, solved, _cells(scenario, variant))
    search(question, [line], means, work)
    return Headroom(line, sum(source.arrivals.mean_rate_per_s or 0.0 for source in sources))


def _steps(closed: Closed) -> int:
    limits = [rung["times"] for ladder in closed.ladders for rung in ladder["rungs"] if rung["limit"] in STOP]
    most = min([MOST, *(BEYOND * times for times in limits)])
    return max(1, math.ceil(math.log(most) / math.log(STEP))) if most > 1 else 1


def _cells(scenario: Scenario, variant: str) -> MakeCell:
    def cell(factor: float, replications: int) -> Cell:
        run = scenario.run.model_copy(update={"replications": replications, "precision": None})
        point = {"times the arrivals": float(f"{factor:.4g}")}
        return cell_of(point, variant, _times(scenario, factor).model_copy(update={"run": run}))

    return cell


def _times(scenario: Scenario, factor: float) -> Scenario:
    """With so many times the arrivals of every source."""
    if factor == 1.0:
        return scenario
    traffic = {}
    for name, source in scenario.traffic.items():
        arrivals = source.arrivals
        assert isinstance(arrivals, SCALED)
        rate = float(f"{arrivals.rate_per_s * factor:.6g}")
        more = arrivals.model_copy(update={"rate_per_s": rate})
        traffic[name] = source.model_copy(update={"arrivals": more})
    return scenario.model_copy(update={"traffic": traffic})
