"""Which values to simulate next, to find the first of an order that meets the objectives.

Values stand in the order in which they get better, so that the first ones miss and the last ones meet, if the
order holds. Nothing here depends on how many processes there are: the answer and the way to it are the same.
"""

from collections.abc import Mapping
from typing import NamedTuple

from reports.targets import FAIL, PASS


class Seen(NamedTuple):
    """What was found of a value."""

    verdict: str
    final: bool
    """Whether more replications can change nothing: it is decided, or has as many as there may be."""
    blind: bool = False
    """Too few requests told anything: it says not even on which side of the answer it is."""


def wanted(seen: Mapping[int, Seen], count: int, hint: int) -> list[int]:
    """The next of `count` values, by their places; none once the answer is known.

    A place that was seen comes again, with more replications, where it is undecided and the answer hangs on
    it, or where it says nothing at all. `hint` is where the answer is thought to be. It and its neighbours
    come first, and distances double from there.
    """
    if not seen:
        return sorted({max(hint - 1, 0), hint, min(hint + 1, count - 1)})
    blind = sorted(place for place, one in seen.items() if one.blind and not one.final)
    best = answer_of(seen)
    if blind:
        return blind
    if best is None:
        return _beyond(seen, count, hint)
    below = max((place for place in seen if place < best), default=-1)
    if best - below > 1:
        return _between(below, best) if below >= 0 else _before(best, hint)
    return _neighbours(seen, count, best)


def answer_of(seen: Mapping[int, Seen]) -> int | None:
    """The first that is known to meet the objectives."""
    return min((place for place, one in seen.items() if one.verdict == PASS), default=None)


def disorders(seen: Mapping[int, Seen]) -> list[tuple[int, int]]:
    """Pairs of which the first meets the objectives and a later one surely does not: no order is that."""
    met = sorted(place for place, one in seen.items() if one.verdict == PASS)
    missed = sorted(place for place, one in seen.items() if one.verdict == FAIL)
    return [
        (earlier, later)
        for later in missed
        for earlier in [next((place for place in met if place < later), None)]
        if earlier is not None
    ]


def _beyond(seen: Mapping[int, Seen], count: int, hint: int) -> list[int]:
    """None meets them so far: further up, and at the end once more while it is undecided."""
    top = max(seen)
    if top < count - 1:
        return [min(top + 2 * max(1, top - hint), count - 1)]
    return [] if seen[top].final else [top]


def _before(best: int, hint: int) -> list[int]:
    """All seen ones meet them: further down."""
    return [max(0, best - 2 * max(1, hint - best))]


def _between(below: int, best: int) -> list[int]:
    """Two that part the gap in three, so that two processes have work."""
    gap = best - below
    return sorted({below + max(1, gap // 3), below + max(1, 2 * gap // 3)})


def _neighbours(seen: Mapping[int, Seen], count: int, best: int) -> list[int]:
    """The one before decides whether the answer is the first, the one after whether the order holds."""
    around = [place for place in (best - 1, best + 1) if 0 <= place < count]
    return [place for place in around if place not in seen or not seen[place].final]
