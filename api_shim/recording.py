"""What a server leaves behind when it was asked to record: the run directory of any run, and its arrivals."""

from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree
from typing import Any

from api_shim.clocks.histogram import Histogram
from api_shim.shim import Shim
from e80sim.mistakes import UserError
from reports.html import report_of
from reports.live import live_json
from reports.run_directory import Run, write
from reports.summary import summarise
from reports.tables import RunTables
from sim.platform.recorder import SpooledBlocks
from sim.run.journal import FILE, Journal
from sim.run.live import VARIANT, live_manifest, live_tables, measured_plan
from sim.run.world import World
from sim.scenario.load import Plan
from sim.scenario.schema import Scenario
from sim.time.units import s_of_ps

Json = dict[str, Any]
SCENARIO = "scenario.yaml"


class LiveRecorder:
    """Of one server, from before its first request until after its last.

    Meanwhile what comes in is written to `DIR.recording`, and `e80sim replay` makes a run of it where the
    server did not end by itself. The records lie beside it on the disk, so that they cost no memory; only at
    the end are they all read, since the report is made from them.
    """

    def __init__(self, scenario: Scenario, content: str, directory: Path) -> None:
        """Raises UserError where nothing can be written."""
        self.directory = directory
        self.folder = directory.with_name(f"{directory.name}.recording")
        self._scenario = scenario
        self._content = content
        self._created = datetime.now(UTC)
        try:
            self.folder.mkdir(parents=True)
            text = Plan(scenario, {VARIANT: scenario}).resolved()
            (self.folder / SCENARIO).write_text(text, encoding="utf-8", newline="\n")
            self.blocks = SpooledBlocks(self.folder)
        except OSError as error:
            raise UserError(f"{self.folder} cannot be written to: {error.strerror}") from None
        self.journal: Journal

    def begin(self, world: World) -> Journal:
        self.journal = Journal(world.env, self.folder / FILE)
        return self.journal

    def write(self, shim: Shim) -> bool:
        """Once the server has ended; False where nobody asked anything. Raises UserError."""
        problem = self.journal.problem or self.blocks.problem
        if problem is not None:
            raise UserError(f"the recording broke off: {problem.strerror}")
        if not self.journal.arrivals:
            self._clear()
            return False
        assert self.journal.first_ps is not None
        assert self.journal.last_ps is not None
        tables = live_tables(shim.world)
        plan = measured_plan(self._scenario, self.journal.first_ps, self.journal.last_ps)
        made = self._manifest(plan, tables, shim)
        summary = summarise(tables, made) | {"live": live_json(made["live"])}
        run = Run(tables, made, plan.resolved(), summary)
        write(self.directory, run, report_of, {FILE: self.journal.write})
        self._clear()
        return True

    def _clear(self) -> None:
        self.journal.close()
        self.blocks.close()
        rmtree(self.folder, ignore_errors=True)

    def _manifest(self, plan: Plan, tables: RunTables, shim: Shim) -> Json:
        live = server_json(shim, self._content)
        remarks = [_sentence(live["why_not"])] if live["why_not"] else []
        wall_s = (datetime.now(UTC) - self._created).total_seconds()
        return live_manifest(plan, tables, self._created, wall_s, remarks) | {"live": live}


def server_json(shim: Shim, content: str) -> Json:
    """What wall times of this run are worth."""
    why_not = shim.pacing.why_not()
    return {
        "speed": shim.clock.speed,
        "answered": shim.served,
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


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."
