"""A sweep: its cells, which of them are there already, and the others on an executor."""

import pickle
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e80sim.mistakes import UserError
from sim.run.estimate import estimate
from sim.scenario.load import Plan, ScenarioFile
from sim.scenario.overrides import Setting, option
from sim.scenario.schema import Scenario
from sim.scenario.source_map import ScenarioError
from sim.study.cell import CellTask, Identity, alone, identity, simulated
from sim.study.design import Design, Point, settings_of
from sim.study.store import CellStore
from sim.workers.executor import Executor, Tell
from sim.workers.perform import perform

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cell:
    """A point of the design in one variant, checked, with little of its scenario in memory."""

    point: Point
    variant: str
    """`base` where the scenario has none."""
    identity: Identity
    packed: bytes
    """Its scenario."""

    @property
    def key(self) -> str:
        return self.identity.key

    def task(self, engine: str) -> CellTask:
        scenario: Scenario = pickle.loads(zlib.decompress(self.packed))  # noqa: S301 -- packed below
        return CellTask(scenario, engine)


@dataclass(frozen=True, slots=True)
class Sweep:
    plan: Plan
    """Of the scenario as it stands, without any point."""
    design: Design
    cells: tuple[Cell, ...]
    requests: int
    """About how many all cells simulate."""
    largest_bytes: int
    """Of memory, that the largest cell takes."""


@dataclass(slots=True)
class Outcome:
    """What became of the cells that were asked for; their results are in the store."""

    asked: int = 0
    """Different cells."""
    found: int = 0
    """Of them, there before."""
    simulated: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    """By key, why."""

    @property
    def missing(self) -> int:
        return self.asked - self.found - self.simulated - len(self.failures)


def planned(path: Path, settings: Sequence[str | Setting], section: Sequence[Setting] = ()) -> Sweep:
    """Every cell of the sweep, checked before any of them runs.

    `section` are settings of the section `sweep`, as the command line states them.

    Raises:
        ScenarioError: a field does not exist, or a cell could not run.

    """
    file = ScenarioFile.read(path)
    stated = [one if isinstance(one, Setting) else option(one) for one in settings]
    plan = file.plan([*stated, *section])
    design = Design(plan.base.sweep, plan.base.run.seed)
    if not design.fields:
        raise ScenarioError(
            f"{path}: nothing is varied: write a section `sweep`, "
            "or give --grid models.llama.nodes=1:16 with a field of yours"
        )
    cells: list[Cell] = []
    requests, largest = 0, 0
    for point in design.points():
        of_point = file.plan([*stated, *settings_of(point)])
        expected = estimate(of_point, 1)
        requests, largest = requests + expected.requests, max(largest, expected.memory_bytes)
        cells += (cell_of(point, name, scenario) for name, scenario in of_point.variants.items())
    return Sweep(plan, design, tuple(cells), requests, largest)


def cell_of(point: Point, variant: str, scenario: Scenario) -> Cell:
    small = alone(scenario)
    return Cell(point, variant, identity(scenario), zlib.compress(pickle.dumps(small)))


def shard_of(cells: Sequence[Cell], number: int, count: int) -> list[Cell]:
    """Every `count`-th cell, from the `number`-th on; `number` counts from 1."""
    return list(cells[number - 1 :: count])


def carry_out(
    cells: Iterable[Cell], store: CellStore, executor: Executor, *, engine: str, tell: Tell
) -> Outcome:
    """Simulate the cells that the store does not have, and keep each there as it ends.

    After an interrupt the outcome has the cells that ended before.
    """
    different = {cell.key: cell for cell in cells}
    missing = [cell for cell in different.values() if store.read(cell.key) is None]
    outcome = Outcome(asked=len(different), found=len(different) - len(missing))
    for cell, result, why in _simulated(missing, executor, engine, tell):
        if why is not None:
            outcome.failures[cell.key] = why
        else:
            assert result is not None
            store.write(cell.identity, result)
            outcome.simulated += 1
    return outcome


def _simulated(
    cells: Sequence[Cell], executor: Executor, engine: str, tell: Tell
) -> Iterator[tuple[Cell, Json | None, str | None]]:
    tasks = (cell.task(engine) for cell in cells)
    for ended in perform(executor, simulated, tasks, total=len(cells), what="cells", tell=tell):
        cell = cells[ended.number]
        if ended.failure is not None:
            yield cell, None, ended.failure.why
        elif ended.result is not None:  # else an interrupt cut it short
            yield cell, ended.result, None


def require_shard(text: str) -> tuple[int, int]:
    """`3/16` as (3, 16). Raises UserError."""
    first, _, second = text.partition("/")
    if not (first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second)):
        raise UserError(f"--shard {text}: write it as 3/16, the third of sixteen parts")
    return int(first), int(second)
