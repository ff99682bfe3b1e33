"""`manifest.json`: how a run came about, and what its report must know besides the records."""

import subprocess
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import Any

from e80sim.build import build
from reports.run_directory import FORMAT
from reports.words import in_seconds, number
from sim.bounds import ladders_of
from sim.run.measured_window import warm_up_of
from sim.run.replications import Results
from sim.run.report_context import facts
from sim.scenario.check import trace_notes
from sim.scenario.load import Plan
from sim.scenario.prefix_caches import prefix_cache_notes
from sim.time.units import PS_PER_S, ps_of_s

LIBRARIES = ("e80sim", "simpy", "numpy", "pyarrow")


def manifest(
    plan: Plan, results: Results, created: datetime, wall_s: float, remarks: Sequence[str] = ()
) -> dict[str, Any]:
    """Only `created`, `wall_s` and `build` differ between two runs of the same scenario, seed and commit.

    `remarks` of whoever ran it join the notes.
    """
    run, base = plan.base.run, plan.base
    measured_s = results.measured_ps / PS_PER_S
    warm_up = warm_up_of(plan, results)
    return {
        "format": FORMAT,
        "scenario": base.name,
        "title": base.title or base.name,
        "question": base.question,
        "seed": run.seed,
        "replications": max(run.replications, results.replications),
        "replications_done": results.replications,
        "horizon_s": measured_s,
        "warm_up_s": warm_up.seconds,
        "interrupted": results.interrupted,
        "notes": [*notes(plan, results), *warm_up.notes, *remarks],
        "created": created.isoformat(timespec="seconds"),
        "commit": commit(),
        "build": str(build()),
        "versions": {"python": python_version(), **{name: _version(name) for name in LIBRARIES}},
        "wall_s": round(wall_s, 3),
        "streams": {name: list(digests) for name, digests in results.streams.items()},
        "facts": facts(plan, results.variants) | _ladders(plan, results.variants),
    }


def _ladders(plan: Plan, variants: Iterable[str]) -> dict[str, Any]:
    """The loads at which limits bind, which are no facts but worked out from them."""
    found = {
        name: [ladder.json() for ladder in ladders_of(plan.variants[name]).values()] for name in variants
    }
    return {"ladders_by_variant": found}


def notes(plan: Plan, results: Results) -> list[str]:
    """What a reader must know to trust the numbers, each once."""
    found: dict[str, None] = {}
    if results.interrupted:
        run = plan.base.run
        whole = f"{results.replications} of {run.replications} replications"
        done = number(results.measured_ps / PS_PER_S)
        cut = f"the first {done} of {in_seconds(run.horizon_s)} of one replication"
        complete = results.measured_ps >= ps_of_s(run.horizon_s)
        found[f"The run was interrupted: these are {whole if complete else cut}."] = None
    for name in results.variants:
        scenario = plan.variants[name]
        for model in scenario.models.values():
            found.update(dict.fromkeys(model.build_hardware().notes))
        found.update(dict.fromkeys(trace_notes(scenario)))
        found.update(dict.fromkeys(prefix_cache_notes(scenario)))
    return list(found)


@cache
def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


@cache
def commit() -> str:
    """Of the checkout this code runs from, with `+` when files differ from it; empty elsewhere."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return ""
    try:
        described = subprocess.run(  # noqa: S603 -- fixed words, no shell
            ["git", "-C", str(folder), "describe", "--always", "--dirty=+", "--exclude=*", "--abbrev=12"],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return described.stdout.strip()
