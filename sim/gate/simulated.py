"""The run that a gate judges."""

import os
import time  # noqa: TID251 -- how long a run took is in its manifest
from collections.abc import Sequence
from pathlib import Path

from e80sim.mistakes import UserError
from reports.run_directory import Run
from reports.targets import Target, parse
from sim.run.finished import FinishedRun, finished
from sim.run.stopping import run_until_precise
from sim.scenario.load import Plan
from sim.workers.executor import Tell


def _silent(_share: float, _note: str) -> None: ...


def simulated(plan: Plan, folder: Path, *, jobs: int | None = None, tell: Tell = _silent) -> Run:
    """Every variant and replication of `plan`, long tables in `folder`. Raises NothingDoneError."""
    began = time.perf_counter()
    jobs = jobs or os.cpu_count() or 1
    results, remarks = run_until_precise(plan, jobs=jobs, engine="fast", tell=tell, folder=folder)
    return finished(plan, FinishedRun(results, remarks, None), began)


def targets_of(plan: Plan, objectives: Sequence[str], what: Path | None = None) -> list[Target]:
    """Of the command line and of the scenario. Raises UserError where there is none."""
    stated = [*plan.base.objectives, *objectives]
    if not stated:
        named = "the scenario" if what is None else what
        raise UserError(
            f"{named} states no objectives, and there is no --objective, such as 'e2e_p95_ms<=400'"
        )
    return [parse(text) for text in dict.fromkeys(stated)]
