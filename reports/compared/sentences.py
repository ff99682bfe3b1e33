"""What a comparison finds and how it judges, in sentences, for the terminal and the page."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import Any, NamedTuple

from reports.compared.real import CANNOT_TELL, NOISE, REAL, SAME
from reports.words import as_chosen, change, duration_scale, number, plural, scaled, with_error

Json = Mapping[str, Any]
MOST_NAMED = 3
MANIFOLD = 10.0
"""A change by so many times the value is told as a multiple."""


class Pair(NamedTuple):
    """One number of the first run and of another one."""

    letter: str
    row: Json
    before: Json
    after: Json
    difference: Json

    @property
    def relative(self) -> float:
        """Of the first run's value; of a share in points."""
        of = 1.0 if self.row["metric"] == "attainment" else self.before.get("value", 0.0)
        return float(self.difference["value"] / of) if of else 0.0


def differences_of(found: Json, letter: str) -> list[Pair]:
    """All numbers of one run beside those of the first."""
    place = [run["letter"] for run in found["runs"]].index(letter)
    return [
        Pair(letter, row, row["values"][0], row["values"][place], row["differences"][place - 1])
        for row in found["rows"]
    ]


def answer(found: Json, letter: str, named: Callable[[Pair], str]) -> str:
    """How many differences of a run are real, and which of them are the largest."""
    first = found["runs"][0]["letter"]
    pairs = differences_of(found, letter)
    counts = Counter(pair.difference["verdict"] for pair in pairs)
    told = [f"of {len(pairs)} numbers {counts[REAL] or 'none'} really differ{_s(counts[REAL])}"]
    if counts[SAME]:
        told.append(f"{counts[SAME]} {'is' if counts[SAME] == 1 else 'are'} the same")
    if counts[NOISE]:
        told.append(f"{counts[NOISE]} differ{_s(counts[NOISE])} by noise")
    if counts[CANNOT_TELL]:
        told.append(f"of {counts[CANNOT_TELL]} it cannot be told")
    real = [pair for pair in pairs if pair.difference["verdict"] == REAL]
    largest = sorted(real, key=lambda pair: -abs(pair.relative))[:MOST_NAMED]
    names = "; ".join(named(pair) for pair in largest)
    of = f" Most: {names}." if largest else ""
    return f"{letter} against {first}: {', '.join(told)}.{of}"


def _s(count: int) -> str:
    return "s" if count <= 1 else ""


def changed(pair: Pair) -> str:
    """−4.1 %, or 46 times."""
    return change(pair.relative) or "0 %"


def where(row: Json) -> str:
    return f"{row['variant']}/{row['source']}" if row["variant"] else str(row["source"])


def remarks(found: Json) -> Iterator[str]:
    """How differences were taken and judged, and what stands in the way of comparing."""
    yield from pairings(found)
    yield from _judging(found["test"])
    yield from _without_intervals(found)
    first = found["runs"][0]["letter"]
    yield from (selected(one, first) for one in found["selections"])
    yield from (f"Warning: {warning}" for warning in found["warnings"])


def pairings(found: Json) -> Iterator[str]:
    """A sentence for all that are taken the same way."""
    first = found["runs"][0]["letter"]
    for why, of in groupby(found["paired"].items(), key=lambda item: item[1]["why"]):
        letters = ", ".join(f"{letter} - {first}" for letter, _ in of)
        if not why:
            yield f"{letters}: paired by replication: common random numbers, the same arrivals."
        else:
            yield f"{letters}: not paired, by Welch's interval, since {why}."


def _judging(test: Json) -> Iterator[str]:
    if test["tested"]:
        yield (
            f"Real: {plural(test['tested'], 'difference')} tested together (Holm), so that at most 5 of 100 "
            "such comparisons call anything real by chance; each by itself, "
            f"{number(test['expected_by_chance'])} of {test['tested']} would be on average."
        )
    points = "point" if test["share_margin"] == 0.01 else "points"
    yield (
        f"Noise: not real, and the whole interval lies within {as_chosen(100 * test['margin'])} % of A's "
        f"value ({as_chosen(100 * test['share_margin'])} {points} of a share). Where it is wider, it "
        "cannot be told."
    )
    if test["replications_wanted"]:
        yield f"About {test['replications_wanted']:,} replications would decide half of what cannot be told."


def _without_intervals(found: Json) -> Iterator[str]:
    """Why what cannot be told has no interval, each reason once."""
    reasons = dict.fromkeys(
        one.get("refused") or one.get("note")
        for row in found["rows"]
        for one in row["differences"]
        if one["verdict"] == CANNOT_TELL
    )
    for reason in [reason for reason in reasons if reason][:MOST_NAMED]:
        yield f"Without an interval: {reason}"


def selected(one: Json, first: str) -> str:
    """Which requests latencies are of, where the two completed different ones."""
    of = [f"{done:,} of {asked:,}" for done, asked in zip(one["completed"], one["offered"], strict=True)]
    told = (
        f"Of {where(one)} {first} completed {of[0]} requests and {one['letter']} {of[1]}: "
        "the latencies of each are of what it completed"
    )
    if "both" not in one:
        return f"{told}."
    return f"{told}. Both completed {one['both']:,}, and over those the mean {_moves(one['over_both'])}."


def _moves(difference: Json) -> str:
    if "refused" in difference:
        return "cannot be given"
    value, low, high = difference["value"], difference["low"], difference["high"]
    scale, plus = duration_scale(abs(value)), "+" if value > 0 else ""
    if low is None:
        return f"differs by {plus}{scaled(value, scale)}"
    return f"differs by {plus}{with_error(value, low, high, scale)}"
