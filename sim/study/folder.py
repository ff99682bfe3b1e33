"""The folder of a sweep: what it consists of, its cells, and what all of them come to.

`sweep.json` names the cells, so that whoever has the folder can put the results together.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e80sim.mistakes import UserError
from reports.objectives import stated
from reports.run_directory import replace_file
from reports.sweep.rows import CellRecord
from sim.run.report_context import objectives_of
from sim.scenario.load import BASE
from sim.scenario.sentences import shown
from sim.study.design import short_names
from sim.study.store import CellStore
from sim.study.sweep import Sweep
from sim.workers.version import version

DEFINITION = "sweep.json"
CELLS = "cells"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Definition:
    """What stands in `sweep.json`."""

    data: Mapping[str, Any]

    @classmethod
    def of(cls, sweep: Sweep) -> "Definition":
        base = sweep.plan.base
        return cls(
            {
                "format": FORMAT,
                "scenario": base.name,
                "title": base.title or base.name,
                "question": base.question,
                "seed": base.run.seed,
                "replications": base.run.replications,
                "horizon_s": base.run.horizon_s,
                "version": version(),
                "fields": sweep.design.fields,
                "objectives": stated(objectives_of(base)),
                "variants": list(sweep.plan.variants),
                "sources": list(base.traffic),
                "models": list(base.models),
                "cells": [
                    {"key": cell.key, "variant": cell.variant, "point": dict(cell.point)}
                    for cell in sweep.cells
                ],
            }
        )

    @classmethod
    def read(cls, folder: Path) -> "Definition":
        """Raises UserError."""
        path = folder / DEFINITION
        try:
            data = json.loads(path.read_bytes())
        except FileNotFoundError:
            raise UserError(f"{folder} is not the folder of a sweep: it has no {DEFINITION}") from None
        except (OSError, ValueError) as error:
            raise UserError(f"{path} cannot be read: {error}") from None
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise UserError(f"{path} has another format than the {FORMAT} that this version reads")
        return cls(data)

    def text(self) -> str:
        return json.dumps(self.data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def name(self, row: Mapping[str, Any]) -> str:
        """Of a cell, or of its row: nodes 4, rate_per_s 20."""
        names = self.short_names()
        point = ", ".join(f"{names[field]} {shown(row[field])}" for field in self.data["fields"])
        return point if row["variant"] == BASE else f"{row['variant']}, {point}"

    def short_names(self) -> dict[str, str]:
        return short_names(list(self.data["fields"]))

    def records(self, store: CellStore, failures: Mapping[str, str]) -> Iterator[CellRecord]:
        """One at a time: only its row need be kept."""
        for cell in self.data["cells"]:
            key = cell["key"]
            yield CellRecord(key, cell["point"], cell["variant"], store.read(key), failures.get(key))


def store_of(folder: Path) -> CellStore:
    return CellStore(folder / CELLS)


def begin(folder: Path, definition: Definition, *, shared: bool) -> None:
    """Write what the sweep consists of. Where several machines share the folder it must be the same for all.

    Raises:
        UserError: the folder holds another sweep, or cannot be written.

    """
    store_of(folder).prepare()
    if shared and (folder / DEFINITION).exists():
        there = Definition.read(folder)
        if there.data["cells"] != definition.data["cells"]:
            raise UserError(
                f"{folder} holds another sweep, {len(there.data['cells'])} cells of {there.data['scenario']}"
                f"{_why(there, definition)}: choose another folder with --out"
            )
        return
    replace_file(folder / DEFINITION, definition.text())


def merge(into: Path, others: Sequence[Path]) -> Definition:
    """Bring the cells of all folders together. Raises UserError where they are of different sweeps."""
    definition = Definition.read(others[0] if others and not (into / DEFINITION).exists() else into)
    store = store_of(into)
    store.prepare()
    for other in others:
        theirs = Definition.read(other)
        if theirs.data["cells"] != definition.data["cells"]:
            raise UserError(f"{other} holds another sweep than {into}{_why(theirs, definition)}")
        for cell in definition.data["cells"]:
            if store.read(cell["key"]) is None:
                store.take(store_of(other), cell["key"])
    replace_file(into / DEFINITION, definition.text())
    return definition


def _why(one: Definition, other: Definition) -> str:
    """Where it is not what is swept that differs."""
    if one.data["version"] != other.data["version"]:
        return ", made by another version of e80sim"
    return ""
