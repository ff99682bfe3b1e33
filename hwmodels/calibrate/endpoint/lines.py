"""Least squares with intervals, and without the few rows that nothing but chance explains."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats

from hwmodels.calibrate.endpoint.seen import Floats, Mask

LEVEL = 0.95
FAR = 10.0
"""Deviations of a normal distribution, by the median of the rows: farther ones are left out."""
MAD = 1.4826
LEAST_FREEDOM = 1
EXACT = 1e-7
"""Of the values: residuals below it are rounding."""


@dataclass(frozen=True)
class Interval:
    """Of 95 %; without ends where too few rows are left for one."""

    value: float
    low: float | None
    high: float | None
    n: int

    def plus(self, other: "Interval", sign: float = 1.0) -> "Interval":
        """Of a sum (or difference) of two that are independent."""
        value = self.value + sign * other.value
        if abs(value) <= EXACT * abs(self.value):
            value = 0.0  # rounding
        if self.low is None or self.high is None or other.low is None or other.high is None:
            return Interval(value, None, None, self.n)
        half = float(np.hypot(self.high - self.low, other.high - other.low)) / 2
        return Interval(value, value - half, value + half, self.n)

    def times(self, factor: float) -> "Interval":
        ends = [None if end is None else end * factor for end in (self.low, self.high)]
        return Interval(self.value * factor, ends[0], ends[1], self.n)

    @property
    def excludes_zero(self) -> bool:
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


@dataclass(frozen=True, eq=False)
class Line:
    terms: tuple[Interval, ...]
    correlation: Floats
    """Between the terms."""
    left_out: int
    scatter: float
    """Standard deviation of the rows about it."""


def fit(columns: Sequence[Floats], y: Floats) -> Line | None:
    """Y as a sum of `columns`, each times a term; None where they cannot tell the terms apart."""
    x = np.stack(columns, axis=1)
    if (
        len(y) < x.shape[1]
        or np.linalg.matrix_rank(x / np.maximum(np.abs(x).max(axis=0), 1e-300)) < x.shape[1]
    ):
        return None
    kept = _near(x, y)
    if np.linalg.matrix_rank(x[kept] / np.maximum(np.abs(x[kept]).max(axis=0), 1e-300)) < x.shape[1]:
        kept = np.ones(len(y), np.bool_)
    x, seen = x[kept], y[kept]
    terms, *_ = np.linalg.lstsq(x, seen, rcond=None)
    rest = seen - x @ terms
    freedom = len(seen) - x.shape[1]
    inverse = np.linalg.inv(x.T @ x)
    variance = float(rest @ rest) / max(freedom, 1)
    if np.abs(rest).max() <= EXACT * max(float(np.abs(seen).max()), 1e-300):
        variance = 0.0
        terms[np.abs(terms) * np.abs(x).max(axis=0) <= EXACT * np.abs(seen).max()] = 0.0
    spread = np.sqrt(np.diag(inverse))
    t = float(scipy.stats.t.ppf((1 + LEVEL) / 2, max(freedom, 1)))
    half = t * np.sqrt(variance) * spread
    known = freedom >= LEAST_FREEDOM
    found = tuple(
        Interval(float(v), float(v - h) if known else None, float(v + h) if known else None, len(seen))
        for v, h in zip(terms, half, strict=True)
    )
    return Line(found, inverse / np.outer(spread, spread), len(y) - len(seen), float(np.sqrt(variance)))


def _near(x: Floats, y: Floats) -> Mask:
    """Rows within `FAR` deviations of least absolute deviations, which few outliers do not move."""
    weights = np.ones(len(y))
    for _ in range(30):
        terms, *_ = np.linalg.lstsq(x * weights[:, None], y * weights, rcond=None)
        rest = np.abs(y - x @ terms)
        weights = 1 / np.sqrt(np.maximum(rest, 1e-6 * max(float(rest.max()), 1e-300)))
    deviation = MAD * float(np.median(rest))
    near: Mask = rest <= max(FAR * deviation, EXACT * float(np.abs(y).max()))
    return near


def median(values: Floats) -> Interval:
    """By order statistics: from 6 values on they hold the median with 95 %."""
    ordered, n = np.sort(values), len(values)
    below = int(scipy.stats.binom.ppf((1 - LEVEL) / 2, n, 0.5)) - 1
    if n < 2 or below < 0:
        return Interval(float(np.median(ordered)), None, None, n)
    return Interval(float(np.median(ordered)), float(ordered[below]), float(ordered[n - 1 - below]), n)
