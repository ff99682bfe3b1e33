"""Who is turned away, and by what: the answer of a run in which that happens."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from reports.answer.phrases import at_most, per_cent, where
from reports.causes import CAUSES, FAILED
from reports.estimate import ShownEstimate, overlap, read_estimate
from reports.not_served import TURNED_AWAY
from reports.rows import Row, Summary, short_titles

NOTEWORTHY = 0.01
"""Of what a source asks, from which on it gets no tick."""
LEADING = 0.05
"""From which on refusals are what a run is about, whatever its question is."""
ABOUT_REFUSALS = re.compile(
    r"refus|reject|limit|turned? away|\bfail|\blos[et]|\bdrop|\bdead\b", re.IGNORECASE
)
MOST_TOLD = 2


class TurnedAway(NamedTuple):
    """What became of one row's asks."""

    row: Row
    share: ShownEstimate
    causes: dict[str, float]
    """Share of its requests by outcome, the largest first."""


def turned_away(summary: Summary, rows: Sequence[Row]) -> dict[str, list[TurnedAway]]:
    """By source, whoever asks most in vain first; sources that are served everywhere are left out.

    Whoever leaves by himself was not turned away.
    """
    known = {
        (variant, one["source"]): read_estimate(one["share"])
        for variant, ones in summary.get("not_served", {}).items()
        for one in ones
    }
    found: dict[str, list[TurnedAway]] = {}
    for row in rows:
        share = known.get((row.variant, row.source), ShownEstimate(row.failed_share, note="not measured"))
        found.setdefault(row.source, []).append(TurnedAway(row, share, _causes(row)))
    told = {
        source: ones for source, ones in found.items() if any(one.share.value and one.causes for one in ones)
    }
    return dict(sorted(told.items(), key=lambda item: -_most(item[1])))


def called(source: str, rows: Sequence[Row]) -> str:
    """Its tenant, where each source has one of its own, else its name."""
    tenants = {row.source: str(row.group["tenant"]) for row in rows}
    return tenants[source] if 1 < len(set(tenants.values())) == len(tenants) else source


def refusals(summary: Summary, rows: Sequence[Row]) -> str | None:
    """None where nobody is turned away to speak of, and where few are and the question is another."""
    told = refused_sources(summary, rows)
    asked_for = ABOUT_REFUSALS.search(summary["question"])
    if not told or (not asked_for and _most(told[0]) < LEADING):
        return None
    titles = short_titles(summary)
    clauses = [
        _clause(ones, called(ones[0].row.source, rows), titles, leads=index == 0)
        for index, ones in enumerate(told[:MOST_TOLD])
    ]
    left = len(told) - len(clauses)
    more = f"; {left} more {'source is' if left == 1 else 'sources are'} turned away" if left else ""
    return f"{'; '.join(clauses)}{more}."


def refused_sources(summary: Summary, rows: Sequence[Row]) -> list[list[TurnedAway]]:
    """Those of which NOTEWORTHY or more are turned away by some variant."""
    return [ones for ones in turned_away(summary, rows).values() if _most(ones) >= NOTEWORTHY]


def _most(ones: Sequence[TurnedAway]) -> float:
    return max(one.share.value or 0.0 for one in ones)


def main_cause(ones: Sequence[TurnedAway]) -> str:
    """The outcome that most of them had."""
    total: dict[str, float] = {}
    for one in ones:
        for name, part in one.causes.items():
            total[name] = total.get(name, 0.0) + part
    return max(total, key=lambda name: total[name])


def became(ones: Sequence[TurnedAway]) -> str:
    """One word for what befell them."""
    names = {name for one in ones for name in one.causes}
    if names.isdisjoint(FAILED):
        return "refused"
    return "failed" if names <= set(FAILED) else "refused or failed"


def _causes(row: Row) -> dict[str, float]:
    counts = row.group["asks"] if row.retries else row.group["counts"]
    offered = int(counts["offered"]) or 1
    found = {name: int(counts.get(name, 0)) / offered for name in TURNED_AWAY if counts.get(name)}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _clause(ones: Sequence[TurnedAway], name: str, titles: dict[str, str], *, leads: bool) -> str:
    cause = CAUSES[main_cause(ones)]
    ordered = sorted(ones, key=lambda one: one.share.value or 0.0)
    least, most = ordered[0], ordered[-1]
    verb = f"{cause.who} {cause.verb}"
    if len(ones) == 1:
        return f"{verb} {per_cent(most.share)} of what {name} asks"
    if not leads:
        return f"{verb} at most {at_most(most.share)} of {name}"
    if overlap(least.share, most.share):
        open_ = "no variant surely more than another"
        return f"{verb} at most {at_most(most.share)} of what {name} asks, and {open_}"
    return (
        f"{verb} {per_cent(least.share)} of what {name} asks {where(titles[least.row.variant])}, "
        f"{per_cent(most.share)} {where(titles[most.row.variant])}"
    )
