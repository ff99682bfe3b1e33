"""The comparison of runs as a table for a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from reports.terminal import columns
from reports.text import latency, percent, wrapped

TITLES = {"felt": "felt", "ttft": "TTFT", "e2e": "E2E", "attainment": "met"}


def comparison_text(found: Mapping[str, Any]) -> str:
    """A block per variant; latencies in ms, ± the half-width of the 95 % interval."""
    letters = [run["letter"] for run in found["runs"]]
    lines = [*_runs(found["runs"]), ""]
    for warning in found["warnings"]:
        lines += wrapped(f"Warning: {warning}")
    for letter, difference in found["scenario_diff"].items():
        lines += [*(f"  {line}" for line in difference), ""] if difference else []
        lines += wrapped(pairing(letters[0], letter, found["paired"][letter]))
    lines.append("")
    for variant, rows in groupby(found["rows"], key=lambda row: row["variant"]):
        lines += [f"{variant} (times in ms)", *_table(letters, list(rows)), ""]
    return "\n".join(lines)


def pairing(first: str, letter: str, how: Mapping[str, Any]) -> str:
    if how["paired"]:
        return f"{letter} - {first}: paired by replication, since both saw the same arrivals."
    return f"{letter} - {first}: Welch's interval, since {how['why']}."


def _runs(runs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for run in runs:
        replications = (
            f"{run['replications_done']} replications of {run['horizon_s']:g} s, seed {run['seed']}"
        )
        yield f"{run['letter']}  {run['path']}: {run['scenario']}, {replications}"


def _table(letters: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    head = ["source", "", letters[0]]
    for letter in letters[1:]:
        head += [letter, f"{letter} - {letters[0]}"]
    body, last = [], ""
    has_felt = {row["source"] for row in rows if row["metric"] == "felt"}
    for row in rows:
        if row["metric"] == "e2e" and row["source"] in has_felt:
            continue  # what users feel is made of it
        named, last = "" if row["source"] == last else row["source"], row["source"]
        body.append([named, _title(row), *_cells(row)])
    return columns([head, *body], left=2, shrinking=(0,))


def _title(row: Mapping[str, Any]) -> str:
    title = TITLES[row["metric"]]
    return title if row["metric"] == "attainment" else f"{title} {row['statistic']}"


def _cells(row: Mapping[str, Any]) -> list[str]:
    shown = percent if row["metric"] == "attainment" else latency
    cells = [shown(row["values"][0])]
    for value, difference in zip(row["values"][1:], row["differences"], strict=True):
        sign = "+" if difference.get("value", -1.0) > 0 else ""
        cells += [shown(value), sign + shown(difference)]
    return cells
