"""Cells on disk: a directory each, named by what it rests on, that is there whole or not at all.

Several machines may share a folder of them. Whoever comes second with a cell has made the same.
"""

import json
import shutil
import time  # noqa: TID251 -- how old a forgotten folder is
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from reports.run_directory import RunDirectoryError
from sim.study.cell import Identity

CELL = "cell.json"
"""The text whose SHA-256 names the directory."""
RESULT = "result.json"
FORGOTTEN_S = 3600.0
"""Nobody takes so long to write a cell: what is older was left by a process that is gone."""


@dataclass(frozen=True, slots=True)
class CellStore:
    folder: Path

    def prepare(self) -> None:
        """Make the folder, and clear away what was never finished. Raises RunDirectoryError."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for partial in self.folder.glob(".*.partial"):
                if time.time() - partial.stat().st_mtime > FORGOTTEN_S:
                    shutil.rmtree(partial, ignore_errors=True)
        except OSError as error:
            raise RunDirectoryError(f"{self.folder} cannot be used: {error.strerror}.") from None

    def read(self, key: str) -> dict[str, Any] | None:
        """None where it is not there, or not whole."""
        try:
            found = json.loads((self.folder / key / RESULT).read_bytes())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def write(self, identity: Identity, result: Mapping[str, Any]) -> None:
        """Raises RunDirectoryError."""
        try:
            hidden = Path(mkdtemp(prefix=f".{identity.key[:16]}.", suffix=".partial", dir=self.folder))
            try:
                (hidden / CELL).write_text(identity.text, encoding="utf-8")
                (hidden / RESULT).write_text(_text(result), encoding="utf-8")
                self._show(hidden, identity.key)
            finally:
                shutil.rmtree(hidden, ignore_errors=True)
        except OSError as error:
            raise RunDirectoryError(f"{self.folder}: a cell cannot be written: {error.strerror}.") from None

    def take(self, other: "CellStore", key: str) -> bool:
        """Copy a cell from another store, where that has it."""
        result = other.read(key)
        if result is None:
            return False
        text = (other.folder / key / CELL).read_text(encoding="utf-8")
        self.write(Identity(text, key), result)
        return True

    def _show(self, hidden: Path, key: str) -> None:
        hidden.chmod(0o755)
        place = self.folder / key
        try:
            hidden.rename(place)
        except OSError:  # somebody was faster, or what is there is not whole
            if self.read(key) is None:
                shutil.rmtree(place, ignore_errors=True)
                hidden.rename(place)


def _text(result: Mapping[str, Any]) -> str:
    return json.dumps(result, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
