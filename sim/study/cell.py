"""A cell of a study: one scenario with its seed and replications, named by what its numbers depend on."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from reports.metrics import Window
from reports.reduced import Json, reduced
from sim.run.measured_window import warm_up_of
from sim.run.replications import NothingDoneError
from sim.run.report_context import facts_of_one
from sim.run.stopping import run_until_precise
from sim.scenario.load import BASE, Plan
from sim.scenario.schema import Scenario
from sim.scenario.sweep import SweepSection
from sim.time.units import PS_PER_S
from sim.workers.executor import Tell
from sim.workers.version import version

SCHEMA = 1
"""Of what is kept of a cell: another one makes other names."""
LABELS = {"name", "title", "question", "variants", "sweep", "serve"}
"""Sections that change no number of a simulation."""


class CellTask(NamedTuple):
    """What travels to whoever simulates it."""

    scenario: Scenario
    engine: str


@dataclass(frozen=True, slots=True)
class Identity:
    """`text` is canonical JSON, `key` its SHA-256 in hexadecimal."""

    text: str
    key: str


def alone(scenario: Scenario) -> Scenario:
    """Without what studies say about it, so that little travels."""
    return scenario.model_copy(update={"variants": {}, "sweep": SweepSection()})


def identity(scenario: Scenario) -> Identity:
    """Of its numbers: equal for scenarios that differ only in labels, or in where their files lie.

    Sections and names stay in the order of the file: which of two sources comes first may decide a tie.
    """
    stated = scenario.model_dump(mode="json", exclude_unset=True, exclude=LABELS)
    run = scenario.run
    text = json.dumps(
        {
            "scenario": _without_places(stated),
            "seed": run.seed,
            "replications": run.replications,
            "version": version(),
            "schema": SCHEMA,
        },
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )
    return Identity(text, hashlib.sha256(text.encode()).hexdigest())


def simulated(task: CellTask, tell: Tell) -> Json | None:
    """The numbers of a cell; None where an interrupt cut it short."""
    plan = Plan(task.scenario, {BASE: task.scenario})
    with TemporaryDirectory(prefix="e80sim-") as folder:
        try:
            results, remarks = run_until_precise(
                plan, jobs=1, engine=task.engine, tell=tell, folder=Path(folder)
            )
        except NothingDoneError:
            return None
        if results.interrupted:
            return None
        warm_up = warm_up_of(plan, results)
        window = Window.of(warm_up.seconds, results.measured_ps / PS_PER_S)
        found = reduced(results.tables, facts_of_one(task.scenario, BASE), window)
    return {**found, "notes": [*warm_up.notes, *remarks]}


def _without_places(stated: Any) -> Any:  # noqa: ANN401 -- plain data
    """Each path of a file becomes its name and what is in it."""
    if isinstance(stated, dict):
        return {key: _without_places(value) for key, value in stated.items()}
    if isinstance(stated, list):
        return [_without_places(value) for value in stated]
    path = Path(stated) if isinstance(stated, str) and "/" in stated else None
    if path is None or not path.is_absolute() or not path.exists():
        return stated
    return f"{path.name} sha256:{_content(path, path.stat().st_mtime_ns)}"


@cache
def _content(path: Path, _changed_ns: int) -> str:
    """Of a file, or of all files in a folder."""
    total = hashlib.sha256()
    for one in _files(path):
        total.update(f"{one.relative_to(path.parent)}\0".encode())
        with one.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def _files(path: Path) -> Iterator[Path]:
    yield from sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
