"""How two sets of samples differ: paired where chance is shared, Welch's interval where it is not.

Paired differences under common random numbers: Law, Simulation Modeling and Analysis, ch. 10-11.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from reports.columns import Floats
from reports.statistics import (
    JOINED_PARTS,
    LEVEL,
    Answer,
    Estimate,
    Refused,
    Samples,
    cuts_between,
    interval_of,
    means_of,
    name_of,
    parts_of,
    quantiles,
    requests_needed,
    too_few,
)
from reports.student_t import t_quantile

Statistic = Callable[[Sequence[Floats]], Floats]
"""A value for each part of the observations."""


def difference_of_means(base: Samples, other: Samples) -> tuple[Answer, float | None]:
    """`other` less `base`, paired by replication, and the variance-reduction factor."""
    return _difference(base, other, *_named("mean"))


def difference_of_quantiles(base: Samples, other: Samples, probability: float) -> tuple[Answer, float | None]:
    return _difference(base, other, *_named(name_of(probability), probability))


def difference_apart(base: Samples, other: Samples, probability: float | None = None) -> Answer:
    """`other` less `base` where chance is not shared: Welch's interval. Of means, or of quantiles."""
    needed, statistic, name = (
        _named("mean") if probability is None else _named(name_of(probability), probability)
    )
    sides = [[part for part in parts_of(samples, needed) if len(part)] for samples in (base, other)]
    count = len(base.values) + len(other.values)
    fewest = min(len(base.values), len(other.values))
    if fewest < needed:
        return too_few(name, needed, fewest)
    centre = float((statistic([other.values]) - statistic([base.values]))[0])
    if any(len(side) < 2 for side in sides):
        note = f"The interval of this difference needs 2 replications of {needed:,} requests in each run."
        return Estimate(centre, None, None, count, note)
    first, second = (statistic(side) for side in sides)
    half = _welch_half_width(first, second)
    centre = float(second.mean() - first.mean())
    return Estimate(centre, centre - half, centre + half, count)


def _welch_half_width(first: Floats, second: Floats) -> float:
    """Welch (1947), the degrees of freedom of Satterthwaite rounded down."""
    variances = [float(side.var(ddof=1)) / len(side) for side in (first, second)]
    total = sum(variances)
    if total == 0:
        return 0.0
    spread = sum(v * v / (len(side) - 1) for v, side in zip(variances, (first, second), strict=True))
    return t_quantile(LEVEL, max(1, math.floor(total * total / spread + 1e-9))) * math.sqrt(total)


def _named(name: str, probability: float | None = None) -> tuple[int, Statistic, str]:
    """(requests needed, statistic, how a sentence calls it) of a mean or a quantile."""
    if probability is None:
        return 1, means_of, f"a {name}"

    def quantiles_of(parts: Sequence[Floats]) -> Floats:
        return np.array([quantiles(part, [probability])[0] for part in parts])

    return requests_needed(probability), quantiles_of, f"a {name}"


def _difference(
    base: Samples, other: Samples, needed: int, statistic: Statistic, name: str
) -> tuple[Answer, float | None]:
    both = [one for one in base.replications if one in other.replications]
    if not both:
        return Refused("The two variants share no replication."), None
    base, other = base.only(both), other.only(both)
    counts = np.minimum(base.counts, other.counts)
    count = int(counts.sum())
    if count < needed:
        return too_few(name, needed, count), None
    cuts = cuts_between(counts, needed)
    pairs = list(pairwise(cuts))
    first = statistic([base.of_replications(a, b) for a, b in pairs])
    second = statistic([other.of_replications(a, b) for a, b in pairs])
    least = max(2, min(len(both), JOINED_PARTS))
    if len(pairs) < least:
        note = f"The interval of this difference needs {least} replications of {needed:,} requests."
        value = float((statistic([other.values]) - statistic([base.values]))[0])
        return Estimate(value, None, None, count, note), None
    spread = float((second - first).var(ddof=1))
    apart = float(first.var(ddof=1) + second.var(ddof=1))
    return interval_of(second - first, count), apart / spread if spread > 0 else None
