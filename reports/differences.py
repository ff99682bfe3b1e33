"""How two sets of samples differ: paired where chance is shared, from both spreads where it is not.

Paired differences under common random numbers: Law, Simulation Modeling and Analysis, ch. 10-11.
"""

import math

import numpy as np

from reports.columns import Floats
from reports.quantile_intervals import Pooled
from reports.sample_size import requests_needed
from reports.statistics import (
    LEVEL,
    Answer,
    Estimate,
    Refused,
    Samples,
    interval_of,
    means_of,
    name_of,
    too_few,
)
from reports.student_t import t_of_freedom, t_quantile

NO_SHARED = Refused("The two variants share no replication.")


def difference_of_means(base: Samples, other: Samples, level: float = LEVEL) -> tuple[Answer, float | None]:
    """`other` less `base`, paired by replication, and the variance-reduction factor."""
    both = _that_both_have(base, other)
    if not both:
        return NO_SHARED, None
    base, other = base.only(both), other.only(both)
    count = int(np.minimum(base.counts, other.counts).sum())
    if not count:
        return too_few("a mean", 1, count), None
    if len(both) < 2:
        value = float(other.values.mean() - base.values.mean())
        return Estimate(value, None, None, count, _wants_two(1)), None
    first, second = means_of(_parts(base)), means_of(_parts(other))
    return interval_of(second - first, count, level), _gain(first, second)


def difference_of_quantiles(
    base: Samples, other: Samples, probability: float, level: float = LEVEL
) -> tuple[Answer, float | None]:
    """`other` less `base`, paired by replication or by part of it, and the variance-reduction factor."""
    both = _that_both_have(base, other)
    if not both:
        return NO_SHARED, None
    base, other = base.only(both), other.only(both)
    count, needed = int(np.minimum(base.counts, other.counts).sum()), requests_needed(probability)
    if count < needed:
        return too_few(f"a {name_of(probability)}", needed, count), None
    pools = Pooled(base), Pooled(other)
    blocks = np.minimum(pools[0].blocks, pools[1].blocks)
    first, second = (pooled.side(probability, blocks) for pooled in pools)
    value = second.answer.value - first.answer.value
    why = first.answer.note or second.answer.note
    if len(both) < 2 or why:
        return Estimate(value, None, None, count, why if len(both) > 1 else _wants_two(needed)), None
    moves = second.moves - first.moves
    t = t_of_freedom(level, min(first.freedom, second.freedom))
    # Small changes move hardly a request past the quantile, and then blocks show no spread although it has
    # moved. So, as in any continuity correction, one request may be beyond it or not.
    half = t * float(moves.std(ddof=1)) / math.sqrt(len(moves)) + max(first.grain, second.grain)
    return Estimate(value, value - half, value + half, count), _gain(first.moves, second.moves)


def difference_apart(
    base: Samples, other: Samples, probability: float | None = None, level: float = LEVEL
) -> Answer:
    """`other` less `base` where chance is not shared. Of means, or of quantiles."""
    count = len(base.values) + len(other.values)
    fewest = min(len(base.values), len(other.values))
    needed = 1 if probability is None else requests_needed(probability)
    if fewest < needed:
        return too_few("a mean" if probability is None else f"a {name_of(probability)}", needed, fewest)
    base, other = base.without_empty(), other.without_empty()
    if probability is None:
        return _means_apart(base, other, count, level)
    return _quantiles_apart(base, other, count, probability, level)


def _means_apart(base: Samples, other: Samples, count: int, level: float) -> Estimate:
    centre = float(other.values.mean() - base.values.mean())
    if min(len(base.replications), len(other.replications)) < 2:
        return Estimate(centre, None, None, count, _wants_two(1, " in each run"))
    half = _welch_half_width(means_of(_parts(base)), means_of(_parts(other)), level)
    return Estimate(centre, centre - half, centre + half, count)


def _quantiles_apart(base: Samples, other: Samples, count: int, probability: float, level: float) -> Estimate:
    """From the intervals of both, each of its own: Zou & Donner, Statistics in Medicine 27:1693 (2008)."""
    pools = Pooled(base), Pooled(other)
    one, two = (pooled.side(probability, pooled.blocks, level).answer for pooled in pools)
    centre = two.value - one.value
    if one.low is None or one.high is None or two.low is None or two.high is None:
        return Estimate(centre, None, None, count, one.note or two.note)
    low = centre - math.hypot(two.value - two.low, one.high - one.value)
    high = centre + math.hypot(two.high - two.value, one.value - one.low)
    return Estimate(centre, low, high, count)


def _that_both_have(base: Samples, other: Samples) -> list[int]:
    """Replications with requests in both."""
    counted = [dict(zip(side.replications, side.counts, strict=True)) for side in (base, other)]
    return [one for one in base.replications if counted[0][one] and counted[1].get(one, 0)]


def _parts(samples: Samples) -> list[Floats]:
    return [samples.of_replications(i, i + 1) for i in range(len(samples.replications))]


def _wants_two(needed: int, where: str = "") -> str:
    of = f" of {needed:,} requests" if needed > 1 else ""
    return f"The interval of this difference needs 2 replications{of}{where}."


def _gain(first: Floats, second: Floats) -> float | None:
    """How many times more replications unpaired runs would have taken; None where pairing left no chance."""
    spread = float((second - first).var(ddof=1))
    return float(first.var(ddof=1) + second.var(ddof=1)) / spread if spread > 0 else None


def _welch_half_width(first: Floats, second: Floats, level: float) -> float:
    """Welch (1947), the degrees of freedom of Satterthwaite rounded down."""
    variances = [float(side.var(ddof=1)) / len(side) for side in (first, second)]
    total = sum(variances)
    if total == 0:
        return 0.0
    spread = sum(v * v / (len(side) - 1) for v, side in zip(variances, (first, second), strict=True))
    return t_quantile(level, max(1, math.floor(total * total / spread + 1e-9))) * math.sqrt(total)
