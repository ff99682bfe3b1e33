"""Replications of every variant on common random numbers, in this process or over several."""

import gc
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from reports.tables import RunTables, concat
from sim.run import interrupt
from sim.run.world import World
from sim.scenario.load import Plan
from sim.scenario.schema import Scenario
from sim.time.units import ps_of_s

SLICES = 200
"""How often a replication looks up from its work, for progress and interrupts."""

YOUNG_OBJECTS = 100_000
"""Allocations between two looks of the garbage collector."""

Tell = Callable[[float, str], None]
"""(share done, note)"""


class Task(NamedTuple):
    """One replication of one variant."""

    variant: str
    scenario: Scenario
    seed: int
    replication: int
    engine: str


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
    """A run makes few cycles and many objects: looking through them as often as usual costs a tenth of it."""
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


@rare_collections()
def simulate(task: Task, tell: Tell | None = None) -> Outcome:
    """Run one replication to its horizon, then until the last answer has arrived or `drain_s` is over."""
    scenario = task.scenario
    world = World(scenario, task.seed, task.replication, engine=task.engine)
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


def run_all(plan: Plan, *, jobs: int, engine: str, tell: Tell, replications: range | None = None) -> Results:
    """Every variant of `plan`, one round of replications after the other, with equal results for any `jobs`.

    An interrupt keeps the complete rounds; where there is none, what the first round reached. `replications`
    are by default those of the plan.

    Raises:
        NothingDoneError: interrupted too early.

    """
    variants, run = plan.variants, plan.base.run
    replications = range(run.replications) if replications is None else replications
    tasks = [
        Task(name, scenario, run.seed, replication, engine)
        for replication in replications
        for name, scenario in variants.items()
    ]
    outcomes: list[Outcome] = []
    for outcome in perform(tasks, jobs, tell):
        outcomes.append(outcome)
        if not outcome.complete:
            break
    return _gathered(outcomes, tuple(variants), len(replications), ps_of_s(run.horizon_s))


def perform(tasks: list[Task], jobs: int, tell: Tell) -> Iterator[Outcome]:
    """The outcomes in the order of the tasks; after an interrupt fewer, the last of them cut short.

    Fewer, too, where somebody killed a worker; then nobody has asked for an interrupt.
    """
    return _in_turn(tasks, tell) if min(jobs, len(tasks)) == 1 else _side_by_side(tasks, jobs, tell)


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


def _in_turn(tasks: list[Task], tell: Tell) -> Iterator[Outcome]:
    for done, task in enumerate(tasks):
        if interrupt.asked():
            return
        note = f"replication {task.replication + 1}, {task.variant}"

        def told(share: float, _note: str, done: int = done, note: str = note) -> None:
            tell((done + share) / len(tasks), note)

        yield simulate(task, told)


def _side_by_side(tasks: list[Task], jobs: int, tell: Tell) -> Iterator[Outcome]:
    pending = iter(tasks)
    with _workers(min(jobs, len(tasks))) as pool:
        with interrupt.withheld():
            running = [pool.submit(simulate, task) for task in islice(pending, 2 * jobs)]
        try:
            for done, _ in enumerate(tasks):
                yield running.pop(0).result()
                tell((done + 1) / len(tasks), f"{done + 1} of {len(tasks)} replications")
                if interrupt.asked():
                    for future in running:
                        future.cancel()
                    return
                running.extend(pool.submit(simulate, task) for task in islice(pending, 1))
        except BrokenProcessPool:  # a worker was killed; what the others are at is lost with the pool
            interrupt.end_workers()


@contextmanager
def _workers(count: int) -> Iterator[ProcessPoolExecutor]:
    """A pool that is gone when this ends: a second interrupt finds it still closing its pipes."""
    # `spawn`: a fork would copy the threads of libraries that already run some.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, context, initializer=interrupt.listen_in_worker)
    try:
        with pool:
            yield pool
    except KeyboardInterrupt:
        with interrupt.withheld():
            pool.shutdown()
        raise
