"""The process in which rehearsals are held: a list of `Part`s comes in on stdin, a list of results goes out.

    python -m api_shim.rehearsal.stage

Each part gets a process of its own, forked off when e80sim and what most applications use are loaded, which
takes longer than most rehearsals; the application is imported in that one, and what it prints is part of the
result. All of them end with whoever waits for the results: an application may loop for ever.
"""

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from api_shim.rehearsal import measured, performance
from api_shim.rehearsal.part import Part
from e80sim.mistakes import UserError
from sim.scenario.load import load
from sim.workers import lifeline
from traffic.tokens import vocabulary_of

AT_ONCE = 2
USUAL = ("openai", "httpx")
"""Packages of applications that are large, and notice nothing of having been imported before."""
MOST_SAID = 4000
"""Characters at the end of what an application printed."""
Json = dict[str, Any]


def main() -> None:
    lifeline.end_with(os.getppid())
    parts = [Part(**told) for told in json.load(sys.stdin)]
    _load_what_all_need(parts)
    with tempfile.TemporaryDirectory() as folder:
        json.dump(_results(parts, Path(folder)), sys.stdout, allow_nan=False)


def _results(parts: Sequence[Part], folder: Path) -> list[Json]:
    status: dict[int, int] = {}
    running: dict[int, int] = {}
    for index, part in enumerate(parts):
        if len(running) == AT_ONCE:
            _wait_for_one(running, status)
        running[_begin(part, folder, index)] = index
    while running:
        _wait_for_one(running, status)
    return [_result(folder, index, status[index]) for index in range(len(parts))]


def _load_what_all_need(parts: Sequence[Part]) -> None:
    """What is wrong with a scenario is told by the parts themselves."""
    for package in USUAL:
        with suppress(ImportError):
            import_module(package)
    with suppress(UserError, IndexError):
        for model in load(Path(parts[0].scenario), parts[0].settings).base.models.values():
            vocabulary_of(model.llm)


def _wait_for_one(running: dict[int, int], status: dict[int, int]) -> None:
    process, ended = os.wait()
    status[running.pop(process)] = os.waitstatus_to_exitcode(ended)


def _result(folder: Path, index: int, status: int) -> Json:
    answer, said = folder / f"{index}.json", folder / f"{index}.said"
    found: Json = json.loads(answer.read_text(encoding="utf-8")) if status == 0 else {}
    text = said.read_text(encoding="utf-8", errors="replace") if said.exists() else ""
    return {**found, "said": text[-MOST_SAID:], "status": status}


def _begin(part: Part, folder: Path, index: int) -> int:
    stage = os.getpid()
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        lifeline.end_with(stage)
        said = os.open(folder / f"{index}.said", os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(said, sys.stdout.fileno())
        os.dup2(said, sys.stderr.fileno())
        told = json.dumps(_performed(part), allow_nan=False)
        (folder / f"{index}.json").write_text(told, encoding="utf-8")
        status = 0
    except BaseException:  # noqa: BLE001 -- whatever it is, this process must not go on as its parent does
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # whatever threads the application has left behind


def _performed(part: Part) -> Json:
    try:
        return {"measured": asdict(measured.measured(performance.perform(part)))}
    except UserError as mistake:
        return {"mistake": str(mistake)}


if __name__ == "__main__":
    main()
