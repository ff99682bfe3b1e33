"""Which build runs: the sources as they are, or what mypyc compiled of the hot path.

Compiled modules lie in `e80sim/compiled/`, never beside their sources, and are imported instead of them only
while every source of the group is what it was when they were made. So an edited file is what runs, always.
All modules of the group are taken, or none: compiled ones call each other without asking Python.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
COMPILED = Path(__file__).resolve().parent / "compiled"
GROUP = "e80sim_compiled"
LIBRARY = f"{GROUP}__mypyc"
"""The one library that holds all compiled modules, as mypyc names it."""


class Build(NamedTuple):
    """`library` has the compiled `modules`; where there is none, `why` says so."""

    library: Path | None
    modules: frozenset[str]
    why: str

    @property
    def kind(self) -> str:
        return "pure" if self.library is None else "compiled"

    def __str__(self) -> str:
        return f"{self.kind}: {self.why}" if self.why else self.kind


def sources(root: Path, modules: Iterable[str]) -> list[Path]:
    return [root.joinpath(*name.split(".")).with_suffix(".py") for name in modules]


def digests(root: Path, modules: Sequence[str]) -> dict[str, str]:
    """Of the source of each; empty where there is none."""
    found = zip(modules, sources(root, modules), strict=True)
    return {
        name: hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest() if path.exists() else ""
        for name, path in found
    }


def find(environment: str, root: Path, compiled: Path) -> Build:
    """`environment` is the value of E80SIM_PURE."""
    if environment:
        return _pure("E80SIM_PURE is set")
    try:
        made = json.loads((compiled / "sources.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return _pure("nothing is compiled here")
    library, known = compiled / made["library"], made["sources"]
    if not library.exists() or not library.name.endswith(EXTENSION_SUFFIXES[0]):
        return _pure("what is compiled here is for another Python")
    for name, digest in digests(root, list(known)).items():
        if digest != known[name]:
            return _pure(f"{name} was edited after compiling")
    return Build(library, frozenset(known), "")


def _pure(why: str) -> Build:
    return Build(None, frozenset(), why)


@cache
def build() -> Build:
    """Of this process, as found when it imported the first module that could be compiled."""
    return find(os.environ.get("E80SIM_PURE", ""), ROOT, COMPILED)


class _CompiledModules:
    """A finder of modules, without that base class: importlib.abc would load tempfile and all it takes."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        if name != LIBRARY and name.partition(".")[0] not in {"sim", "hwmodels", "traffic"}:
            return None
        library = build().library
        if library is None or (name != LIBRARY and name not in build().modules):
            return None
        file = str(library)
        return spec_from_file_location(name, file, loader=ExtensionFileLoader(name, file))


def install() -> None:
    """Let imports find compiled modules, once per process."""
    if not any(isinstance(finder, _CompiledModules) for finder in sys.meta_path):
        sys.meta_path.insert(0, _CompiledModules())
