"""Whether a cell meets the targets, each by its whole interval, and how many replications would decide it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from reports.targets import FAIL, INCONCLUSIVE, PASS, Answered, Target, answers, judge

GROWTH = (2, 4)
"""An undecided value gets at least and at most so many times its replications: its spread is a guess."""
SPARE = 1.2
"""Replications beyond those that would decide, if the value stayed where it is."""
ORDER = (PASS, INCONCLUSIVE, FAIL)


class Held(NamedTuple):
    """A target as one source meets it: numbers in the target's unit, None where there is none."""

    target: str
    source: str | None
    verdict: str
    sentence: str
    value: float | None
    low: float | None
    high: float | None
    limit: float
    at_most: bool

    @property
    def beyond(self) -> float:
        """How many times the limit it is, where above 1 misses it; infinite where nobody knows."""
        if self.value is None:
            return math.inf
        if self.at_most:
            return self.value / self.limit if self.limit else math.inf
        return self.limit / self.value if self.value else math.inf

    @property
    def times_replications(self) -> float:
        """So many times as many would decide it, about: a half-width falls with their root."""
        if self.value is None or self.low is None or self.high is None:
            return math.inf
        room = abs(self.value - self.limit)
        side = self.high - self.value if self.value < self.limit else self.value - self.low
        return (side / room) ** 2 * SPARE if room else math.inf

    def json(self) -> dict[str, Any]:
        return {**self._asdict(), "beyond": self.beyond if math.isfinite(self.beyond) else None}


def held(targets: Sequence[Target], result: Mapping[str, Any], variant: str) -> list[Held]:
    """Of a cell's result. Raises UserError where a target speaks of nothing in it."""
    groups = [{**source, "source": source["name"]} for source in result["sources"]]
    summary = {"variants": {variant: {"rates": result["rates"], "groups": groups}}}
    return [_held(target, found) for target in targets for found in answers(target, summary)]


def keeps_up(result: Mapping[str, Any]) -> Held | None:
    """None where it does: else waiting grows without end, and latencies are those of the time looked at."""
    found = result["verdict"]
    if found["state"] != "overloaded":
        return None
    why = f"it does not keep up with what is asked: {found['why']}"
    return Held("keeps up", None, FAIL, why, None, None, None, 1.0, at_most=True)


def _held(target: Target, found: Answered) -> Held:
    judged, answer = judge(target, found), found.answer
    ends = [answer.get(key) for key in ("value", "low", "high")]
    value, low, high = (None if end is None else end * target.per_unit for end in ends)
    # Where a scenario has no variants its only one has a name that says nothing.
    sentence = judged.sentence.partition(": ")[2]
    told = f"{found.source}: {sentence}" if found.source else sentence
    return Held(
        target.text, found.source, judged.verdict, told, value, low, high, target.limit, target.at_most
    )


def verdict_of(found: Sequence[Held]) -> str:
    return max((one.verdict for one in found), key=ORDER.index, default=PASS)


def is_blind(found: Sequence[Held]) -> bool:
    """Undecided since some number, or its interval, wants more requests, and nothing else misses."""
    return verdict_of(found) == INCONCLUSIVE and any(
        one.verdict == INCONCLUSIVE and one.low is None for one in found
    )


def next_replications(done: int, found: Sequence[Held], most: int) -> int:
    """For a value that is undecided, in all."""
    open_ = [one.times_replications for one in found if one.verdict == INCONCLUSIVE]
    least, largest = GROWTH
    times = min(max([least, *open_]), largest)
    return min(most, math.ceil(done * times))
