"""Which differences of a comparison are real and which are noise, all of them taken together.

Of 20 differences of nothing at all one lies outside its 95 % interval. So what is called real is held to
Holm's step-down (Scandinavian Journal of Statistics 6:65, 1979), under which a comparison calls any
difference of nothing real in 5 % of cases at most, however its numbers hang together.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from reports.statistics import LEVEL, Answer, Estimate

REAL, SAME, NOISE, CANNOT_TELL = "real", "same", "noise", "cannot_tell"
VERDICTS = (REAL, SAME, NOISE, CANNOT_TELL)
EQUAL = 1e-12
"""A picosecond, the grain of all stamps: means that differ by less differ by rounding."""


class Claim(NamedTuple):
    """A difference that is to be judged."""

    at: Callable[[float], Answer]
    """The same difference with its interval at any level."""
    margin: float
    """What nobody minds, in the unit of the difference."""
    identical: bool
    """Not one observation differs: then there is nothing to estimate."""


class Judged(NamedTuple):
    verdict: str
    """One of VERDICTS."""
    small: bool = False
    """Of a real one: it lies within the margin."""


def judged(claims: Sequence[Claim]) -> list[Judged]:
    """Real: its interval leaves 0 out at the level that Holm asks of it. Noise: it does not, and the 95 %
    interval lies within the margin, so that nobody would mind what it may hide. Same: nothing differs.
    """
    intervals = [ends(claim.at(LEVEL)) for claim in claims]
    same = [claim.identical or _equal(found) for claim, found in zip(claims, intervals, strict=True)]
    tested = [i for i, found in enumerate(intervals) if found is not None and not same[i]]
    real = {tested[place] for place in _step_down([claims[i].at for i in tested])}
    return [
        Judged(SAME) if same[i] else _judged(found, claim.margin, real=i in real)
        for i, (claim, found) in enumerate(zip(claims, intervals, strict=True))
    ]


def _judged(interval: tuple[float, float] | None, margin: float, *, real: bool) -> Judged:
    within = interval is not None and -margin <= interval[0] and interval[1] <= margin
    if real:
        return Judged(REAL, small=within)
    return Judged(NOISE if within else CANNOT_TELL)


def _step_down(at: Sequence[Callable[[float], Answer]]) -> Iterator[int]:
    """Places of those that are real. What is found leaves the others a milder level: Holm, many at once.

    Intervals are nested: what holds 0 at 95 % does so at every higher level, and is not looked at again.
    """
    undecided, left = [i for i in range(len(at)) if _excludes_zero(at[i](LEVEL))], len(at)
    while undecided:
        level = 1 - (1 - LEVEL) / left
        found = [i for i in undecided if _excludes_zero(at[i](level))]
        if not found:
            return
        yield from found
        undecided = [i for i in undecided if i not in found]
        left -= len(found)


def ends(answer: Answer) -> tuple[float, float] | None:
    """Of its interval; None where it has none."""
    if not isinstance(answer, Estimate) or answer.low is None or answer.high is None:
        return None
    return answer.low, answer.high


def _excludes_zero(answer: Answer) -> bool:
    interval = ends(answer)
    return interval is not None and (interval[0] > 0 or interval[1] < 0)


def _equal(interval: tuple[float, float] | None) -> bool:
    """By its whole interval: nothing on average may be something in every replication."""
    return interval is not None and max(abs(end) for end in interval) < EQUAL


def chance_alone(tested: int) -> float:
    """How many of so many differences of nothing lie outside their own 95 % intervals, on average."""
    return (1 - LEVEL) * tested
