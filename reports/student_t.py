"""Student's t for whole degrees of freedom, in plain arithmetic: scipy.special takes 0.4 s to import."""

import math
from functools import lru_cache

import numpy as np

LARGE = 1000
"""Degrees of freedom beyond which t is the normal quantile to three digits."""


@lru_cache(maxsize=4096)
def t_quantile(level: float, freedom: int) -> float:
    """The t for which a central interval holds `level` of the distribution: 2.262 for 0.95 and 9."""
    assert 0 < level < 1, level
    assert freedom >= 1, freedom
    low, high = 0.0, math.pi / 2
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if _central_probability(middle, freedom) < level else (low, middle)
    return math.sqrt(freedom) * math.tan(low)


def _central_probability(angle: float, freedom: int) -> float:
    """P(|T| <= t) with tan(angle) = t / sqrt(freedom): Abramowitz & Stegun 26.7.3 and 26.7.4."""
    odd = freedom % 2
    sine, cosine = math.sin(angle), math.cos(angle)
    term = cosine if odd else 1.0
    total = term if freedom > 1 else 0.0
    for power in range(2 + odd, freedom, 2):
        term *= cosine * cosine * (power - 1) / power
        total += term
    return (angle + sine * total) * 2 / math.pi if odd else sine * total


def t_of_freedom(level: float, freedom: float) -> float:
    """For any `freedom` from 1: between whole ones linear in the reciprocal, to three digits from 2 on."""
    below = math.floor(min(freedom, LARGE))
    first, second = t_quantile(level, below), t_quantile(level, below + 1)
    share = min(1.0, (1 / below - 1 / min(freedom, below + 1)) * below * (below + 1))
    return first + share * (second - first)


def bent(t: float, bend: float) -> float:
    """Johnson's transformation, inverted: a t for a mean whose skewness is 6 times `bend`.

    The interval of a skewed mean m with standard error s reaches from m - s * bent(t) to m - s * bent(-t):
    Willink, Communications in Statistics - Theory and Methods 34:19 (2005).
    """
    return float(np.cbrt(1 + 6 * bend * (t - bend)) - 1) / (2 * bend) if abs(bend) > 1e-9 else t
