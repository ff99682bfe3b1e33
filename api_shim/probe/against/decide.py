"""Where a mean or a quantile of what was measured lies, and what that says of a hypothesis.

Requests beside each other are slow together: n of them are worth n / tau independent ones, with tau their
autocorrelation time (`reports.effective`). A quantile's interval comes from order statistics, whose ranks are
binomial; that of a mean from Student's t.
"""

from typing import NamedTuple

import numpy as np
import scipy.stats

from api_shim.probe.verdicts import REFUTED, SUPPORTED, UNDECIDED
from reports.columns import Floats
from reports.effective import time_beyond
from reports.metrics import PROBABILITIES
from reports.statistics import CORRELATED_BEYOND

LEVEL = 0.95
LEAST = 8
"""Fewer requests decide nothing."""


class Span(NamedTuple):
    low: float
    high: float


def interval(values: Floats, statistic: str, level: float) -> Span | None:
    """In the order in which they were sent. None where they are too few for one."""
    count = len(values)
    if count < LEAST:
        return None
    worth = max(2, int(count / time_beyond([values], float(np.quantile(values, CORRELATED_BEYOND)))))
    if statistic == "mean":
        centre, error = float(values.mean()), float(values.std(ddof=1)) / np.sqrt(worth)
        half = float(scipy.stats.t.ppf((1 + level) / 2, worth - 1)) * error
        return Span(centre - half, centre + half)
    return _of_quantile(np.sort(values), PROBABILITIES[statistic], worth, level)


def _of_quantile(ordered: Floats, probability: float, worth: int, level: float) -> Span | None:
    """P(X_(low) <= quantile <= X_(high)) is at least `level`; None where it would end beyond all."""
    low = int(scipy.stats.binom.ppf((1 - level) / 2, worth, probability))
    high = int(scipy.stats.binom.ppf((1 + level) / 2, worth, probability)) + 1
    if low < 1 or high > worth:
        return None
    count = len(ordered)
    below = int((low - 1) / worth * count)
    above = min(count - 1, int(np.ceil(high / worth * count)) - 1)
    return Span(float(ordered[below]), float(ordered[above]))


def verdict(found: Span | None, band: Span) -> str:
    """By the whole interval: inside the band, beside it, or partly both."""
    if found is None:
        return UNDECIDED
    if band.low <= found.low and found.high <= band.high:
        return SUPPORTED
    if found.high < band.low or found.low > band.high:
        return REFUTED
    return UNDECIDED


def level_of_each(hypotheses: int) -> float:
    """With which a run that is right in all of them is refuted in any at most 1 in 20 times (Bonferroni)."""
    return 1 - (1 - LEVEL) / max(1, hypotheses)
