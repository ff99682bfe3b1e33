"""What a server leaves behind when it was asked to record: the run directory of any run, and its arrivals."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from api_shim.shim import Shim
from api_shim.telemetry.histogram import Histogram
from reports.html import render
from reports.live import live_json
from reports.run_directory import Run, write
from reports.summary import summarise
from reports.tables import RunTables
from sim.run.journal import FILE, Journal
from sim.run.live import VARIANT, live_tables, sources
from sim.run.manifest import manifest
from sim.run.replications import Results
from sim.run.world import World
from sim.scenario.load import Plan
from sim.scenario.schema import RunPlan, Scenario
from sim.time.units import PS_PER_MS, ps_of_s, s_of_ps

Json = dict[str, Any]
SHORTEST_S = 1.0
"""A rate over less than this says little."""


class Recorder:
    """Of one server, from before its first request until after its last."""

    def __init__(self, scenario: Scenario, world: World, content: str, directory: Path) -> None:
        self.directory = directory
        self.journal = Journal(world.env)
        self._scenario = scenario
        self._content = content
        self._created = datetime.now(UTC)

    def write(self, shim: Shim) -> bool:
        """Once the server has ended; False where nobody asked anything. Raises RunDirectoryError."""
        if not self.journal.arrivals:
            return False
        tables = live_tables(shim.world)
        plan = _measured(self._scenario, self.journal)
        made = self._manifest(plan, tables, shim)
        summary = summarise(tables, made) | {"live": live_json(made["live"])}
        run = Run(tables, made, plan.resolved(), summary)
        write(self.directory, run, render(summary, manifest=made), {FILE: self.journal.write})
        self.journal.close()
        return True

    def _manifest(self, plan: Plan, tables: RunTables, shim: Shim) -> Json:
        measured_ps = ps_of_s(plan.base.run.horizon_s)
        results = Results(tables, (VARIANT,), 1, measured_ps, interrupted=False)
        live = server_json(shim, self._content)
        remarks = [_sentence(live["why_not"])] if live["why_not"] else []
        wall_s = (datetime.now(UTC) - self._created).total_seconds()
        made = manifest(plan, results, self._created, wall_s, remarks)
        return made | {"facts": live_facts(made["facts"], tables), "live": live}


def live_facts(facts: Mapping[str, Any], tables: RunTables) -> Json:
    """Those of the scenario, with the traffic that came instead of the traffic it states."""
    asked = sources(tables.requests)
    return {**facts, "sources": asked, "sources_by_variant": {VARIANT: asked}}


def server_json(shim: Shim, content: str) -> Json:
    """What wall times of this run are worth."""
    why_not = shim.pacing.why_not()
    return {
        "speed": shim.clock.speed,
        "content": content,
        "paced": why_not is None,
        "why_not": why_not,
        "lateness": _histogram_json(shim.pacing.lateness),
    }


def _histogram_json(spans: Histogram) -> Json:
    def seconds(share: float) -> float | None:
        found = spans.quantile(share)
        return None if found is None else s_of_ps(found)

    uppers = (*spans.bounds, spans.max)
    bins = [[s_of_ps(upper), count] for upper, count in zip(uppers, spans.counts, strict=True) if count]
    return {
        "n": spans.total,
        "p50_s": seconds(0.5),
        "p99_s": seconds(0.99),
        "max_s": s_of_ps(spans.max),
        "bins": bins,
    }


def _measured(scenario: Scenario, journal: Journal) -> Plan:
    """From the first request to the last, in whole milliseconds: sources send until the horizon."""
    assert journal.first_ps is not None
    assert journal.last_ps is not None
    begin_ms = journal.first_ps // PS_PER_MS
    end_ms = max(journal.last_ps // PS_PER_MS + 1, begin_ms + round(SHORTEST_S * 1000))
    run = RunPlan(horizon_s=end_ms / 1000, warm_up_s=begin_ms / 1000, replications=1, seed=scenario.run.seed)
    spec = scenario.model_copy(update={"run": run, "variants": {}})
    return Plan(spec, {VARIANT: spec})


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."
