"""Runs that are held beside each other. Letters stand for them, A for the first, the baseline."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from string import ascii_uppercase
from typing import Any, NamedTuple

from reports.group import Group
from reports.metrics import Window
from reports.run_directory import Run, RunDirectoryError, read
from reports.variant_records import variant_records


class PairKey(NamedTuple):
    variant: str
    source: str


@dataclass(frozen=True)
class ComparedRun:
    letter: str
    path: Path
    run: Run
    variant: str | None = None
    """The only one that counts, and then it may have another name than that of the other run."""

    @property
    def manifest(self) -> Mapping[str, Any]:
        return self.run.manifest

    @property
    def label(self) -> str:
        return str(self.path) if self.variant is None else f"{self.path}:{self.variant}"

    @cached_property
    def groups(self) -> dict[PairKey, Group]:
        window = Window.of(self.manifest["warm_up_s"], self.manifest["horizon_s"])
        records = variant_records(self.run.tables, self.manifest["facts"], window)
        return {
            PairKey(variant if self.variant is None else "", group.source["name"]): group
            for variant, found in records.items()
            if self.variant in {None, variant}
            for group in found.groups
        }

    def as_json(self) -> dict[str, Any]:
        kept = ("scenario", "title", "seed", "replications_done", "horizon_s", "warm_up_s", "interrupted")
        named = {"letter": self.letter, "path": str(self.path), "variant": self.variant}
        return {
            **named,
            **{key: self.manifest[key] for key in kept},
            "commit": self.manifest.get("commit", ""),
        }


def read_runs(names: Sequence[str | Path]) -> list[ComparedRun]:
    """Of run directories, or of one variant of a run (`DIR:VARIANT`); a single one stands for its variants.

    Raises RunDirectoryError for fewer than two, too many, or anything that is no run.
    """
    sides = [side for name in names for side in _sides(str(name), alone=len(names) == 1)]
    if not 2 <= len(sides) <= len(ascii_uppercase):
        what = "variants" if len(names) == 1 else "run directories"
        more = " of one variant" if (len(names), len(sides)) == (1, 1) else ""
        raise RunDirectoryError(
            f"compare takes 2 to {len(ascii_uppercase)} {what}, not {len(sides)}"
            f"{f': {names[0]} is a run{more}' if more else ''}."
        )
    return [ComparedRun(letter, *side) for letter, side in zip(ascii_uppercase, sides, strict=False)]


def read_side(name: str) -> tuple[Path, Run, str | None]:
    """A run directory, or with `DIR:VARIANT` one variant of it. Raises RunDirectoryError."""
    path, variant = Path(name), None
    if not path.exists() and ":" in name:
        folder, _, variant = name.rpartition(":")
        path = Path(folder)
    run = read(path)
    variants = [one["name"] for one in run.manifest["facts"]["variants"]]
    if variant is not None and variant not in variants:
        raise RunDirectoryError(f"{path} has no variant {variant!r}; it has {', '.join(variants) or 'none'}.")
    return path, run, variant


def _sides(name: str, *, alone: bool) -> Iterator[tuple[Path, Run, str | None]]:
    path, run, variant = read_side(name)
    variants = [one["name"] for one in run.manifest["facts"]["variants"]]
    chosen: list[str | None] = [*variants] if alone and variant is None else [variant]
    for one in chosen:
        yield path, run, one
