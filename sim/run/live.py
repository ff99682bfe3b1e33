"""A live run and its replay: one world that only outsiders send into, and what is recorded of it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from reports import arrow
from reports.stored import Table, whole
from reports.tables import RunTables
from sim.platform.recorder import Blocks
from sim.platform.ticket import Ticket
from sim.run.journal import JournalEntry
from sim.run.manifest import manifest
from sim.run.replications import Results
from sim.run.world import World
from sim.scenario.load import Plan
from sim.scenario.schema import RunPlan, Scenario
from sim.time.timeline import Timeline
from sim.time.units import PS_PER_MS, ps_of_s

VARIANT = "live"
SHORTEST_S = 1.0
"""A rate over less than this says little."""
LONGEST_DRAIN_S = 86_400
"""What breaks by chance, again and again, does so no longer than this after the last request came."""
LONGEST_S = 4_000_000
"""A live run has no horizon; this is the longest that a scenario may state."""
Json = dict[str, Any]


def live_world(scenario: Scenario, env: Timeline | None = None, blocks: Blocks | None = None) -> World:
    """The same for a server and for the replay of what it recorded, but for where the records go."""
    endless = RunPlan(horizon_s=LONGEST_S, replications=1, seed=scenario.run.seed)
    return World(
        scenario.model_copy(update={"run": endless}),
        scenario.run.seed,
        0,
        engine="fast",
        keep_schedule=True,
        sources=False,
        env=env,
        blocks=blocks,
    )


def replayed(scenario: Scenario, entries: Sequence[JournalEntry]) -> World:
    """A world in which all of `entries` happened when they did."""
    world = live_world(scenario)
    env, tickets = world.env, dict[int, Ticket]()
    leaving = {entry.number for entry in entries if entry.request is None}
    for entry in entries:
        env.run_before(entry.at_ps)
        while env.passed < entry.passed and env.next_ps == entry.at_ps:
            env.step()
        env.reached = entry.reached  # what woke the outsider is not part of the replay
        if entry.fault is not None:
            world.breakage.break_now(entry.fault)
        elif entry.request is not None:
            ticket = world.platform.submit(entry.request)
            if entry.number in leaving:
                tickets[entry.number] = ticket
        else:
            tickets.pop(entry.number).cancel()
    return world


def live_tables(world: World) -> RunTables:
    """The records of a world into which nobody sends any more, once everything inside has ended."""
    env, latest_ps = world.env, world.env.now + ps_of_s(LONGEST_DRAIN_S)
    while (next_ps := env.next_ps) is not None:
        if not world.platform.inside or next_ps > latest_ps:
            world.stop()
        env.step()
    tables = world.tables(VARIANT)
    requests = whole(tables.requests)
    return RunTables(
        _told_apart(requests),
        tables.nodes,
        None,
        tables.gaps,
        tables.prefixes,
        tables.stages,
        faults=_while_asked(tables.faults, "began_ps", requests),
        lifetimes=_while_asked(tables.lifetimes, "ordered_ps", requests),
        preemptions=tables.preemptions,
    )


def measured_plan(scenario: Scenario, first_ps: int, last_ps: int) -> Plan:
    """From the first request to the last, in whole milliseconds: sources send until the horizon."""
    begin_ms = first_ps // PS_PER_MS
    end_ms = max(last_ps // PS_PER_MS + 1, begin_ms + round(SHORTEST_S * 1000))
    run = RunPlan(horizon_s=end_ms / 1000, warm_up_s=begin_ms / 1000, replications=1, seed=scenario.run.seed)
    spec = scenario.model_copy(update={"run": run, "variants": {}})
    return Plan(spec, {VARIANT: spec})


def live_manifest(
    plan: Plan, tables: RunTables, created: datetime, wall_s: float, remarks: Sequence[str]
) -> Json:
    """With the traffic that came instead of the traffic that the scenario states."""
    measured_ps = ps_of_s(plan.base.run.horizon_s)
    results = Results(tables, (VARIANT,), 1, measured_ps, interrupted=False)
    made = manifest(plan, results, created, wall_s, remarks)
    asked = sources(whole(tables.requests))
    facts = {**made["facts"], "sources": asked, "sources_by_variant": {VARIANT: asked}}
    return made | {"facts": facts}


def sources(requests: pa.Table) -> list[Json]:
    """Who asked which model from where, as the facts of a run describe traffic."""
    seen: dict[str, Json] = {}
    columns = [requests[name].to_pylist() for name in ("source", "tenant", "place", "model")]
    for source, tenant, place, model in zip(*columns, strict=True):
        if source not in seen:
            seen[source] = {
                "name": source,
                "tenant": tenant,
                "place": place,
                "model": model,
                "app": None,
                "app_place": None,
                "calls": 1,
                "mode": None,
                "arrivals": VARIANT,
            }
    return [seen[source] for source in sorted(seen)]


def _while_asked(table: Table | None, begins: str, requests: pa.Table) -> pa.Table | None:
    """Those that came no later than the last request and the last token.

    How long a server stood idle then is not recorded: a replay does not know what broke or was ordered then.
    """
    if table is None:
        return None
    stamps = (requests[name].to_pylist() for name in ("intended_ps", "last_ps"))
    last_ps = max((at_ps for stamp in stamps for at_ps in stamp if at_ps is not None), default=0)
    return whole(table).filter(np.array(table[begins].to_pylist(), np.int64) <= last_ps)


def _told_apart(requests: pa.Table) -> pa.Table:
    """A source that asked from several places, or several models, becomes several: `chat, edge`."""
    asked = list(zip(*(requests[name].to_pylist() for name in ("source", "place", "model")), strict=True))
    names = _names(set(asked))
    labels = sorted(set(names.values()))
    codes = np.array([labels.index(names[one]) for one in asked], np.int32)
    column = arrow.labels(codes, labels)
    return requests.set_column(requests.column_names.index("source"), "source", column)


def _names(asked: set[tuple[str, str, str]]) -> Mapping[tuple[str, str, str], str]:
    places, models = defaultdict(set), defaultdict(set)
    for source, place, model in asked:
        places[source].add(place)
        models[source].add(model)
    return {
        (source, place, model): ", ".join(
            [source, *[place] * (len(places[source]) > 1), *[model] * (len(models[source]) > 1)]
        )
        for source, place, model in asked
    }


def first_difference(recorded: RunTables, again: RunTables) -> str | None:
    """A sentence on the first cell that is not the same, None where all are."""
    for name in ("requests", "nodes", "gaps", "stages", "faults", "preemptions"):
        one, other = getattr(recorded, name), getattr(again, name)
        found = None if one is None or other is None else _table_difference(one, other)
        if found is not None:
            return f"In {name}: {found}"
    return None


def _table_difference(recorded: Table, again: Table) -> str | None:
    if recorded.num_rows != again.num_rows:
        return f"{recorded.num_rows} rows were recorded, {again.num_rows} came out."
    found: tuple[int, str] | None = None
    for name in recorded.column_names:
        one, other = recorded[name].to_pylist(), again[name].to_pylist()
        row = next((i for i, pair in enumerate(zip(one, other, strict=True)) if pair[0] != pair[1]), None)
        if row is not None and (found is None or row < found[0]):
            found = row, f"row {row} has {name} {one[row]}, and {other[row]} in the replay."
    return None if found is None else found[1]
