"""What came out of a scenario, made ready to be written."""

import time  # noqa: TID251 -- how long a run took is in its manifest
from datetime import UTC, datetime
from typing import NamedTuple

from reports.run_directory import Run
from reports.summary import summarise
from reports.uncertainty import Study, uncertainty_json, uncertainty_table
from sim.run.manifest import manifest
from sim.run.replications import Results
from sim.scenario.load import Plan


class FinishedRun(NamedTuple):
    """What came out of a scenario, before it is written."""

    results: Results
    remarks: tuple[str, ...]
    study: Study | None


def finished(plan: Plan, answer: FinishedRun, began: float) -> Run:
    """What is to be written; `began` as `time.perf_counter` told."""
    results, study = answer.results, answer.study
    made = manifest(plan, results, datetime.now(UTC), time.perf_counter() - began, answer.remarks)
    summary, draws = summarise(results.tables, made), None
    if study is not None:
        summary["uncertainty"], draws = uncertainty_json(study), uncertainty_table(study)
    return Run(results.tables, made, plan.resolved(), summary, draws)
