"""Several runs side by side: their headlines aligned by variant and source, and what each changes."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any

from reports.compared.pairing import Difference, why_apart
from reports.compared.real import CANNOT_TELL, SAME, VERDICTS, Claim, Judged, chance_alone, ends, judged
from reports.compared.runs import ComparedRun, PairKey
from reports.compared.selections import selection
from reports.headlines import HEADLINES, answers_of
from reports.run_directory import RunDirectoryError
from reports.statistics import LEVEL, Answer, Estimate, Refused
from reports.words import in_seconds

MARGIN = 0.05
"""Of A's value: what nobody minds. Of a share of asks it is a point."""
SHARE_MARGIN = 0.01
DIFF_LINES = 20
AGREEING = {
    "commit": "different commits of e80sim made them",
    "horizon_s": "their horizons differ",
    "warm_up_s": "their warm-ups differ",
}


@dataclass(frozen=True)
class _Row:
    key: PairKey
    metric: str
    statistic: str
    answers: Sequence[Answer | None]
    """By run; None where it has no such source."""
    differences: Sequence[Difference]
    """From the first run, by each of the others."""

    def margin(self, share: float) -> float:
        """What nobody minds: `share` of the value of the first run."""
        if self.metric == "attainment":
            return SHARE_MARGIN
        base = self.answers[0]
        return share * base.value if isinstance(base, Estimate) else 0.0


def compare(runs: Sequence[ComparedRun], margin: float = MARGIN) -> dict[str, Any]:
    """Raises RunDirectoryError where the runs have nothing in common, or nothing to show for it."""
    first, others = runs[0], runs[1:]
    shared = [key for key in first.groups if any(key in other.groups for other in others)]
    if not shared:
        raise RunDirectoryError(
            f"{first.label} has {_named(first)}, and no other run has the same variant and source: "
            f"{others[0].label} has {_named(others[0])}. DIR:VARIANT compares variants of any name."
        )
    apart = {other.letter: why_apart(first, other) for other in others}
    rows = [row for key in shared for row in _rows(runs, key, apart)]
    why = next((one.reason for row in rows for one in row.answers if isinstance(one, Refused)), "")
    rows = [row for row in rows if any(isinstance(answer, Estimate) for answer in row.answers)]
    if not rows:
        raise RunDirectoryError(f"there is nothing to compare: {why}")
    verdicts = _verdicts(rows, margin)
    return {
        "runs": [one.as_json() for one in runs],
        "warnings": list(_warnings(runs)),
        "scenario_diff": {other.letter: _scenario_diff(first, other) for other in others},
        "paired": {letter: {"paired": not why, "why": why} for letter, why in apart.items()},
        "selections": list(_selections(runs, shared, apart)),
        "test": _test(rows, verdicts, margin, max(one.manifest["replications_done"] for one in runs)),
        "rows": [_row_json(*pair) for pair in zip(rows, verdicts, strict=True)],
    }


def _rows(runs: Sequence[ComparedRun], key: PairKey, apart: Mapping[str, str]) -> Iterator[_Row]:
    base, *others = (one.groups.get(key) for one in runs)
    groups = [base, *others]
    answers = [None if group is None else answers_of(group) for group in groups]
    has_app = any(group is not None and group.users is not None for group in groups)
    for metric, statistic in HEADLINES:
        if metric == "felt" and not has_app:
            continue  # it equals the end-to-end time
        found = [None if one is None else one[metric, statistic] for one in answers]
        differences = [
            Difference(base, other, metric, statistic, paired=not apart[one.letter])
            for one, other in zip(runs[1:], others, strict=True)
        ]
        yield _Row(key, metric, statistic, found, differences)


def _verdicts(rows: Sequence[_Row], margin: float) -> list[list[Judged]]:
    """By row, then by run: all differences of the comparison are judged together."""
    claims = [Claim(one.at, row.margin(margin), one.identical) for row in rows for one in row.differences]
    found, wide = judged(claims), len(rows[0].differences)
    return [found[start : start + wide] for start in range(0, len(found), wide)]


def _test(
    rows: Sequence[_Row], verdicts: Sequence[Sequence[Judged]], margin: float, replications: int
) -> dict[str, Any]:
    """How the differences were judged, and how many there are of each kind."""
    tested = sum(
        one.verdict != SAME and ends(difference.at(LEVEL)) is not None
        for row, of_row in zip(rows, verdicts, strict=True)
        for difference, one in zip(row.differences, of_row, strict=True)
    )
    counts = Counter(one.verdict for of_row in verdicts for one in of_row)
    return {
        "method": "Holm",
        "level": LEVEL,
        "tested": tested,
        "expected_by_chance": chance_alone(tested),
        "margin": margin,
        "share_margin": SHARE_MARGIN,
        "counts": {verdict: counts[verdict] for verdict in VERDICTS},
        "replications_wanted": _wanted(rows, verdicts, margin, replications),
    }


def _wanted(
    rows: Sequence[_Row], verdicts: Sequence[Sequence[Judged]], margin: float, replications: int
) -> int | None:
    """About as many as would decide half of what cannot be told, by the root law; None where nobody knows.

    A difference is decided once its interval leaves out 0, or what nobody minds, whichever is nearer.
    """
    found = []
    for row, of_row in zip(rows, verdicts, strict=True):
        for difference, one in zip(row.differences, of_row, strict=True):
            answer, least = difference.at(LEVEL), row.margin(margin)
            interval = ends(answer)
            if one.verdict == CANNOT_TELL and interval is not None and isinstance(answer, Estimate):
                half = (interval[1] - interval[0]) / 2
                near = max(abs(answer.value), least - abs(answer.value))
                found.append(math.inf if near <= 0 else (half / near) ** 2)
    middle = sorted(found)[len(found) // 2] if found else math.inf
    return math.ceil(replications * middle) if math.isfinite(middle) else None


def _row_json(row: _Row, verdicts: Sequence[Judged]) -> dict[str, Any]:
    return {
        "variant": row.key.variant,
        "source": row.key.source,
        "metric": row.metric,
        "statistic": row.statistic,
        "values": [
            {"refused": "This run has no such source."} if answer is None else answer.as_json()
            for answer in row.answers
        ],
        "differences": [
            {**difference.as_json(), **one._asdict()}
            for difference, one in zip(row.differences, verdicts, strict=True)
        ],
    }


def _selections(
    runs: Sequence[ComparedRun], shared: Sequence[PairKey], apart: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    for other in runs[1:]:
        for key in shared:
            if key in other.groups:
                sides = runs[0].groups[key], other.groups[key]
                found = selection(*sides, paired=not apart[other.letter])
                if found is not None:
                    yield {"letter": other.letter, "variant": key.variant, "source": key.source, **found}


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
        lone = [_name(key) for key in first.groups.keys() ^ other.groups.keys()]
        if lone:
            yield f"{both}: only one of them has {', '.join(sorted(lone))}."
    for run in dict.fromkeys(one.path for one in runs if one.manifest["interrupted"]):
        letters = ", ".join(one.letter for one in runs if one.path == run)
        yield f"{letters} was interrupted."


def _shown(value: object) -> str:
    return in_seconds(value) if isinstance(value, float | int) else str(value) or "unknown"


def _scenario_diff(first: ComparedRun, other: ComparedRun) -> list[str]:
    """What the resolved scenarios say differently, at most DIFF_LINES of it."""
    one, two = (run.run.scenario_text.splitlines() for run in (first, other))
    lines = list(unified_diff(one, two, first.letter, other.letter, n=1, lineterm=""))
    left = len(lines) - DIFF_LINES
    return lines if left <= 0 else [*lines[:DIFF_LINES], f"... and {left} more lines"]


def _named(one: ComparedRun) -> str:
    return ", ".join(_name(key) for key in one.groups) or "nothing"


def _name(key: PairKey) -> str:
    return f"{key.variant}/{key.source}" if key.variant else key.source
