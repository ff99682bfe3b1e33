"""Several runs side by side: their headlines aligned by variant and source, and what each changes.

Letters stand for the runs, A for the first, which the others are compared against.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from functools import cached_property
from pathlib import Path
from string import ascii_uppercase
from typing import Any, NamedTuple

import numpy as np

from reports.attainment import difference_of_attainments
from reports.differences import difference_apart, difference_of_means, difference_of_quantiles
from reports.group import Group
from reports.headlines import HEADLINES, answers_of
from reports.metrics import PROBABILITIES, Window
from reports.run_directory import Run, RunDirectoryError, read
from reports.statistics import Answer
from reports.variant_records import variant_records

DIFF_LINES = 20
AGREEING = {
    "commit": "different commits of e80sim made them",
    "horizon_s": "their horizons differ",
    "warm_up_s": "their warm-ups differ",
}


class PairKey(NamedTuple):
    variant: str
    source: str


@dataclass(frozen=True)
class ComparedRun:
    letter: str
    path: Path
    run: Run

    @property
    def manifest(self) -> Mapping[str, Any]:
        return self.run.manifest

    @cached_property
    def groups(self) -> dict[PairKey, Group]:
        window = Window.of(self.manifest["warm_up_s"], self.manifest["horizon_s"])
        records = variant_records(self.run.tables, self.manifest["facts"], window)
        return {
            PairKey(variant, group.source["name"]): group
            for variant, found in records.items()
            for group in found.groups
        }

    def as_json(self) -> dict[str, Any]:
        kept = ("scenario", "title", "seed", "replications_done", "horizon_s", "warm_up_s", "interrupted")
        named = {"letter": self.letter, "path": str(self.path)}
        return {
            **named,
            **{key: self.manifest[key] for key in kept},
            "commit": self.manifest.get("commit", ""),
        }


def read_runs(paths: Sequence[Path]) -> list[ComparedRun]:
    """Raises RunDirectoryError for fewer than two, too many, or anything that is no run."""
    if not 2 <= len(paths) <= len(ascii_uppercase):
        raise RunDirectoryError(
            f"compare takes 2 to {len(ascii_uppercase)} run directories, not {len(paths)}."
        )
    return [
        ComparedRun(letter, path, read(path)) for letter, path in zip(ascii_uppercase, paths, strict=False)
    ]


def compare(runs: Sequence[ComparedRun]) -> dict[str, Any]:
    """Raises RunDirectoryError where the runs have nothing in common, or nothing to show for it."""
    first, others = runs[0], runs[1:]
    shared = [key for key in first.groups if any(key in other.groups for other in others)]
    if not shared:
        raise RunDirectoryError(
            f"{first.path} has {_named(first)}, and no other run has the same variant and source: "
            f"{others[0].path} has {_named(others[0])}."
        )
    apart = {other.letter: why_apart(first, other) for other in others}
    rows = [row for key in shared for row in _rows(runs, key, apart)]
    values = [value for row in rows for value in row["values"]]
    if all("refused" in value for value in values):
        raise RunDirectoryError(f"there is nothing to compare: {values[0]['refused']}")
    return {
        "runs": [one.as_json() for one in runs],
        "warnings": list(_warnings(runs)),
        "scenario_diff": {other.letter: _scenario_diff(first, other) for other in others},
        "paired": {letter: {"paired": not why, "why": why} for letter, why in apart.items()},
        "rows": rows,
    }


def why_apart(first: ComparedRun, other: ComparedRun) -> str:
    """Why replications of the two share no chance and cannot be paired; empty where they do.

    The same arrivals prove the same streams: lengths, which follow from the scenario, may differ.
    """
    one, two = first.manifest, other.manifest
    if one["seed"] != two["seed"]:
        return f"seeds {one['seed']} and {two['seed']} differ"
    if one["replications_done"] != two["replications_done"]:
        return f"{one['replications_done']} and {two['replications_done']} replications"
    if any(one[name] != two[name] for name in ("warm_up_s", "horizon_s")):
        return "they measure different times"
    for key in first.groups.keys() & other.groups.keys():
        asks = first.groups[key].asks, other.groups[key].asks
        if not all(np.array_equal(asks[0][name], asks[1][name]) for name in ("replication", "intended_ps")):
            return "the arrivals differ"
    return ""


def _rows(runs: Sequence[ComparedRun], key: PairKey, apart: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    groups = [one.groups.get(key) for one in runs]
    answers = [{} if group is None else answers_of(group) for group in groups]
    has_app = any(group is not None and group.users is not None for group in groups)
    for metric, statistic in HEADLINES:
        if metric == "felt" and not has_app:
            continue  # it equals the end-to-end time
        yield {
            "variant": key.variant,
            "source": key.source,
            "metric": metric,
            "statistic": statistic,
            "values": [
                found[metric, statistic].as_json() if found else {"refused": "This run has no such source."}
                for found in answers
            ],
            "differences": [
                difference(groups[0], group, metric, statistic, paired=not apart[one.letter])
                for one, group in zip(runs[1:], groups[1:], strict=True)
            ],
        }


def difference(
    base: Group | None, other: Group | None, metric: str, statistic: str, *, paired: bool
) -> dict[str, Any]:
    if base is None or other is None:
        return {"refused": "One of the runs has no such source."}
    if metric == "attainment":
        return _json(*difference_of_attainments(base.attainment, other.attainment, paired=paired))
    probability = PROBABILITIES.get(statistic)
    first, second = base.samples[metric], other.samples[metric]
    if not paired:
        return difference_apart(first, second, probability).as_json()
    if probability is None:
        return _json(*difference_of_means(first, second))
    return _json(*difference_of_quantiles(first, second, probability))


def _json(answer: Answer, variance_reduction: float | None) -> dict[str, Any]:
    return {**answer.as_json(), "variance_reduction": variance_reduction}


def _warnings(runs: Sequence[ComparedRun]) -> Iterator[str]:
    first = runs[0]
    for other in runs[1:]:
        both = f"{first.letter} and {other.letter}"
        if first.run.scenario_text != other.run.scenario_text:
            yield f"{both}: their scenarios differ."
        for name, what in AGREEING.items():
            one, two = first.manifest.get(name, ""), other.manifest.get(name, "")
            if one != two:
                yield f"{both}: {what} ({_shown(one)} and {_shown(two)})."
        lone = [f"{k.variant}/{k.source}" for k in first.groups.keys() ^ other.groups.keys()]
        if lone:
            yield f"{both}: only one of them has {', '.join(sorted(lone))}."
    for one_run in runs:
        if one_run.manifest["interrupted"]:
            yield f"{one_run.letter} was interrupted."


def _shown(value: object) -> str:
    return f"{value:g} s" if isinstance(value, float | int) else str(value) or "unknown"


def _scenario_diff(first: ComparedRun, other: ComparedRun) -> list[str]:
    """What the resolved scenarios say differently, at most DIFF_LINES of it."""
    one, two = (run.run.scenario_text.splitlines() for run in (first, other))
    lines = list(unified_diff(one, two, first.letter, other.letter, n=1, lineterm=""))
    left = len(lines) - DIFF_LINES
    return lines if left <= 0 else [*lines[:DIFF_LINES], f"... and {left} more lines"]


def _named(one: ComparedRun) -> str:
    return ", ".join(f"{key.variant}/{key.source}" for key in one.groups) or "nothing"
