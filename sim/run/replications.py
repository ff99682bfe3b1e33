"""Replications of every variant on common random numbers, in this process or over several."""

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from e80sim.collector import YOUNG_OBJECTS, is_set_aside
from reports.record import LARGE
from reports.run_directory import TABLES
from reports.stored import spilled
from reports.tables import KEYS, RunTables, concat
from sim.run.world import World
from sim.scenario.load import Plan
from sim.scenario.schema import Scenario
from sim.time.units import ps_of_s
from sim.workers import interrupt
from sim.workers.executor import Tell
from sim.workers.local import local
from sim.workers.perform import perform

SLICES = 200
"""How often a replication looks up from its work, for progress and interrupts."""


class Task(NamedTuple):
    """One replication of one variant."""

    variant: str
    scenario: Scenario
    seed: int
    replication: int
    engine: str
    folder: Path | None = None
    """Where the rows of long tables go; None: they stay in memory."""


class Outcome(NamedTuple):
    tables: RunTables
    simulated_ps: int
    """The horizon, or less after an interrupt."""
    complete: bool
    """False also where an interrupt came while the last answers were waited for."""
    streams: str
    """A digest of where the random streams stood at the end."""


@dataclass(frozen=True, slots=True)
class Results:
    tables: RunTables
    variants: tuple[str, ...]
    replications: int
    """Of each variant."""
    measured_ps: int
    """The horizon, or less where an interrupt cut the only replication short."""
    interrupted: bool
    streams: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By variant, the digest of each replication's random streams; of a live run there are none."""


class NothingDoneError(Exception):
    """Interrupted before there was anything to keep."""


@contextmanager
def rare_collections() -> Iterator[None]:
    """A run makes few cycles and many objects: looking through them as often as usual costs a tenth of it.

    A command has set its modules aside already; to thaw them would have the summary look through them all.
    """
    thresholds, freezes = gc.get_threshold(), not is_set_aside()
    if freezes:
        gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        if freezes:
            gc.unfreeze()


@rare_collections()
def simulate(task: Task, tell: Tell | None = None) -> Outcome:
    """Run one replication to its horizon, then until the last answer has arrived or `drain_s` is over."""
    scenario = task.scenario
    world = World(scenario, task.seed, task.replication, engine=task.engine)
    if task.folder is not None:
        world.keep_in(task.folder, task.variant)
    horizon_ps = ps_of_s(scenario.run.horizon_s)
    drain_s = scenario.run.horizon_s if scenario.run.drain_s is None else scenario.run.drain_s
    for part in range(1, SLICES + 1):
        world.run_to(horizon_ps * part // SLICES)
        if tell is not None:
            tell(part / SLICES, "")
        if part < SLICES and interrupt.asked():
            return _outcome(world, task, horizon_ps * part // SLICES, complete=False)
    for part in range(1, SLICES + 1):
        world.run_to(horizon_ps + ps_of_s(drain_s) * part // SLICES)
        if part < SLICES and interrupt.asked():
            return _outcome(world, task, horizon_ps, complete=False)
    return _outcome(world, task, horizon_ps, complete=True)


def _outcome(world: World, task: Task, simulated_ps: int, *, complete: bool) -> Outcome:
    """The streams come last, since asking for their digest draws from them."""
    return Outcome(world.tables(task.variant), simulated_ps, complete, world.streams.digest())


def run_all(
    plan: Plan,
    *,
    jobs: int,
    engine: str,
    tell: Tell,
    replications: range | None = None,
    folder: Path | None = None,
) -> Results:
    """Every variant of `plan`, one round of replications after the other, with equal results for any `jobs`.

    An interrupt keeps the complete rounds; where there is none, what the first round reached. `replications`
    are by default those of the plan. `folder` is where rows go that are too many for memory: results with
    long tables rest on it.

    Raises:
        NothingDoneError: interrupted too early.

    """
    variants, run = plan.variants, plan.base.run
    replications = range(run.replications) if replications is None else replications
    tasks = [
        Task(name, scenario, run.seed, replication, engine, folder)
        for replication in replications
        for name, scenario in variants.items()
    ]
    kept = _Kept(folder, replications.start * len(variants))
    for outcome in outcomes_of(tasks, jobs, tell):
        kept.add(outcome)
        if not outcome.complete:
            break
    return _gathered(kept.outcomes, tuple(variants), len(replications), ps_of_s(run.horizon_s))


class _Kept:
    """The outcomes so far. Their tables that are short each and long together go into files of `folder`."""

    def __init__(self, folder: Path | None, before: int) -> None:
        """`before` is how many outcomes of the same run there were already."""
        self.outcomes: list[Outcome] = []
        self._folder, self._before = folder, before
        self._held: dict[str, list[int]] = {name: [] for name in TABLES}
        """By table, whose lie in memory."""
        self._rows = dict.fromkeys(TABLES, 0)

    def add(self, outcome: Outcome) -> None:
        place = len(self.outcomes)
        self.outcomes.append(outcome)
        for name in TABLES if self._folder is not None else ():
            table = getattr(outcome.tables, name)
            if isinstance(table, pa.Table):
                self._held[name].append(place)
                self._rows[name] += table.num_rows
                if self._rows[name] > LARGE:
                    self._spill(name)

    def _spill(self, name: str) -> None:
        assert self._folder is not None
        places, self._held[name], self._rows[name] = self._held[name], [], 0
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / f"{name}.{self._before + places[0]}.parquet"
        tables = [getattr(self.outcomes[place].tables, name) for place in places]
        for place, stored in zip(places, spilled(tables, file, (*KEYS, *TABLES[name])), strict=True):
            one = self.outcomes[place]
            self.outcomes[place] = one._replace(tables=replace(one.tables, **{name: stored}))


def outcomes_of(tasks: list[Task], jobs: int, tell: Tell) -> Iterator[Outcome]:
    """The outcomes in the order of the tasks; after an interrupt fewer, the last of them cut short.

    Fewer, too, where one was lost again and again with its process; then nobody has asked for an interrupt.
    """
    with local(min(jobs, len(tasks))) as executor:
        for ended in perform(
            executor, simulate, tasks, total=len(tasks), what="replications", tell=tell, in_order=True
        ):
            if ended.failure is None:
                yield ended.result
            elif ended.failure.error is None:
                return
            else:
                raise ended.failure.error


def _gathered(
    outcomes: list[Outcome], variants: tuple[str, ...], replications: int, horizon_ps: int
) -> Results:
    whole = [outcome for outcome in outcomes if outcome.complete]
    rounds = len(whole) // len(variants)
    if rounds:
        kept = whole[: rounds * len(variants)]
        tables = concat(outcome.tables for outcome in kept)
        return Results(tables, variants, rounds, horizon_ps, rounds < replications, _streams(kept, variants))
    measured_ps = min((outcome.simulated_ps for outcome in outcomes), default=0)
    if not measured_ps:
        raise NothingDoneError
    tables = concat(outcome.tables for outcome in outcomes)
    begun = variants[: len(outcomes)]
    return Results(tables, begun, 1, measured_ps, interrupted=True, streams=_streams(outcomes, begun))


def _streams(outcomes: Sequence[Outcome], variants: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Outcomes come round by round, each with all variants in turn."""
    return {
        name: tuple(outcome.streams for outcome in outcomes[number :: len(variants)])
        for number, name in enumerate(variants)
    }
