"""The comparison of runs as a table for a terminal. A verdict has a sign and a word: no colour is needed."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from reports.compared.real import CANNOT_TELL, NOISE, REAL, SAME
from reports.compared.sentences import Pair, answer, changed, differences_of, remarks, where
from reports.terminal import columns
from reports.text import latency, percent, wrapped
from reports.words import in_seconds

TITLES = {"felt": "felt", "ttft": "TTFT", "e2e": "E2E", "attainment": "met"}
SIGNS = {SAME: "=", NOISE: "~", CANNOT_TELL: "?"}
WORDS = {REAL: "real", SAME: "same", NOISE: "noise", CANNOT_TELL: "cannot tell"}
MORE, LESS = "\N{BLACK UP-POINTING TRIANGLE}", "\N{BLACK DOWN-POINTING TRIANGLE}"


def comparison_text(found: Mapping[str, Any]) -> str:
    """A block per run: what of its differences is real, then all of them; latencies in ms, ± the half-width
    of the 95 % interval.
    """
    first, *others = (run["letter"] for run in found["runs"])
    lines = [*_runs(found["runs"]), ""]
    for letter in others:
        lines += [*wrapped(answer(found, letter, _named)), *_tables(found, first, letter), ""]
    for sentence in remarks(found):
        lines += wrapped(sentence)
    for difference in found["scenario_diff"].values():
        lines += [f"  {line}" for line in difference]
    return "\n".join(lines).rstrip() + "\n"


def sign(difference: Mapping[str, Any]) -> str:
    """Of a verdict; of a real one which way it goes."""
    if difference["verdict"] == REAL:
        return MORE if difference["value"] > 0 else LESS
    return SIGNS[difference["verdict"]]


def word(difference: Mapping[str, Any]) -> str:
    return WORDS[difference["verdict"]] + (", small" if difference["small"] else "")


def _runs(runs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for run in runs:
        replications = (
            f"{run['replications_done']} replications of {in_seconds(run['horizon_s'])}, seed {run['seed']}"
        )
        variant = f":{run['variant']}" if run["variant"] else ""
        yield f"{run['letter']}  {run['path']}{variant}: {run['scenario']}, {replications}"


def _tables(found: Mapping[str, Any], first: str, letter: str) -> Iterator[str]:
    """Of one run against the first; a block per variant."""
    for variant, pairs in groupby(differences_of(found, letter), key=lambda pair: pair.row["variant"]):
        yield f"{variant} (times in ms)" if variant else "times in ms"
        yield from _table(first, list(pairs))


def _table(first: str, pairs: Sequence[Pair]) -> list[str]:
    head = ["source", "", first, pairs[0].letter, f"{pairs[0].letter} - {first}", "", ""]
    body, last = [], ""
    for pair in pairs:
        source = pair.row["source"]
        named, last = "" if source == last else source, source
        body.append([named, title(pair.row), *_cells(pair)])
    return columns([head, *body], left=2, shrinking=(0,))


def title(row: Mapping[str, Any]) -> str:
    name = TITLES[row["metric"]]
    return name if row["metric"] == "attainment" else f"{name} {row['statistic']}"


def _cells(pair: Pair) -> list[str]:
    shown = percent if pair.row["metric"] == "attainment" else latency
    difference = pair.difference
    change = _signed(shown(difference), difference)
    return [shown(pair.before), shown(pair.after), change, sign(difference), word(difference)]


def _signed(shown: str, difference: Mapping[str, Any]) -> str:
    return f"+{shown}" if difference.get("value", -1.0) > 0 else shown


def _named(pair: Pair) -> str:
    """As chat E2E p95 +10.2 ±0.3 ms (+4.1 %)."""
    name = f"{where(pair.row)} {title(pair.row)}"
    if pair.row["metric"] == "attainment":
        return f"{name} {_signed(percent(pair.difference), pair.difference)}"
    return f"{name} {_signed(latency(pair.difference), pair.difference)} ms ({changed(pair)})"
