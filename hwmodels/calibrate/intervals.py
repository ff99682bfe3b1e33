"""How well the steps determine each coefficient: intervals, and what cannot be told apart."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hwmodels.calibrate.forms import Coefficient, Form
from hwmodels.calibrate.solve import Solution, curvature, influence
from hwmodels.calibrate.step_table import BoolArray, FloatArray, IntArray, StepTable

CONFOUNDED = 0.95
AT_BOUND = 1e-3
"""Of the coefficient's scale: nearer than that, the bound holds it and not the data."""
FLAT = 1e-12
"""Added to the information, relative to its size, so that it can be inverted."""
UNDETERMINED = 1e8
"""Variance over that of a coefficient which nothing resembles: more is rounding error, not data."""


@dataclass(frozen=True, slots=True)
class FittedValue:
    """`low` and `high` are a 95 % interval, absent where the steps do not determine the value."""

    name: str
    value: float
    low: float | None
    high: float | None
    alone: tuple[float, float] | None
    """The interval with the coefficients that it trades off against held at their values."""
    state: str
    """`fitted`; `at its bound`; `flat` (no effect so near to its bound); `unseen` (none anywhere)."""


@dataclass(frozen=True, slots=True)
class Determined:
    estimates: tuple[FittedValue, ...]
    warnings: tuple[str, ...]


def determine(form: Form, solution: Solution, table: StepTable, fitted: IntArray) -> Determined:
    states = [_state(c, solution, i) for i, c in enumerate(form.coefficients)]
    free = [i for i, state in enumerate(states) if state == "fitted"]
    spread = _spread(solution, free, _clusters(table, fitted)) if free else None
    estimates = []
    for i, coefficient in enumerate(form.coefficients):
        deviations = None if spread is None or i not in free else spread.deviations(free.index(i))
        estimates.append(_estimate(coefficient, float(solution.x[i]), deviations, states[i]))
    names = [form.names[i] for i in free]
    confounded = [] if spread is None else _confounded_warnings(names, spread)
    return Determined(tuple(estimates), (*_state_warnings(estimates, form), *confounded))


def _state(coefficient: Coefficient, solution: Solution, index: int) -> str:
    if not solution.seen[index]:
        return "unseen"
    if not solution.jacobian[:, index].any():
        return "flat"
    x = solution.x[index]
    near = AT_BOUND * coefficient.scale
    return "at its bound" if x - coefficient.low < near or coefficient.high - x < near else "fitted"


def _clusters(table: StepTable, fitted: IntArray) -> IntArray:
    """Steps with the same numbers of prompt tokens and decodes err alike, whatever their contexts."""
    keys = np.stack([table.new_tokens[fitted], table.decodes[fitted]], axis=1)
    return np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)


@dataclass(frozen=True, slots=True)
class _Spread:
    """Of the free coefficients."""

    covariance: FloatArray
    correlation: FloatArray
    """What the table's design forces on them, whatever the errors."""
    determined: BoolArray

    def partners(self, i: int) -> list[int]:
        strong = np.abs(self.correlation[i]) > CONFOUNDED
        return [int(j) for j in np.flatnonzero(strong) if j != i]

    def deviations(self, i: int) -> tuple[float, float] | None:
        """Of coefficient i, and of it alone: with its partners at their values."""
        if not self.determined[i]:
            return None
        own, among = self.covariance[i, i], self.partners(i)
        shared = self.covariance[i, among]
        explained = shared @ np.linalg.pinv(self.covariance[np.ix_(among, among)]) @ shared if among else 0.0
        return float(np.sqrt(own)), float(np.sqrt(max(own - explained, 0.0)))


def _spread(solution: Solution, free: list[int], clusters: IntArray) -> _Spread:
    """The cluster-robust sandwich (Huber 1967; Liang and Zeger 1986).

    A law that does not hold exactly leaves errors that are alike within a cluster, so the clusters count and
    not the steps.
    """
    jacobian = solution.jacobian[:, free]
    size = np.sqrt((jacobian**2).sum(axis=0))
    unit = jacobian / size
    information = unit.T @ (curvature(solution.errors)[:, None] * unit)
    information += FLAT * np.linalg.norm(information, 2) * np.eye(len(free))
    inverse = np.linalg.inv(information)
    scores = influence(solution.errors)[:, None] * unit
    groups = int(clusters.max()) + 1
    if groups < 2 * len(free):  # too few to speak for themselves
        clusters, groups = np.arange(len(clusters)), len(clusters)
    sums = np.stack([np.bincount(clusters, column, groups) for column in scores.T], axis=1)
    correction = groups / max(groups - len(free), 1)
    covariance = correction * inverse @ (sums.T @ sums) @ inverse / np.outer(size, size)
    root = np.sqrt(np.diag(inverse))
    # In a direction without information the scores vanish too, and the sandwich would call it certain.
    return _Spread(covariance, inverse / np.outer(root, root), np.diag(inverse) < UNDETERMINED)


def _estimate(
    coefficient: Coefficient, value: float, deviations: tuple[float, float] | None, state: str
) -> FittedValue:
    low, high = coefficient.low, coefficient.high
    if state == "flat":
        return FittedValue(coefficient.name, low, None, None, None, state)
    if state == "at its bound":
        nearest = low if value - low < high - value else high
        return FittedValue(coefficient.name, nearest, None, None, None, state)
    if deviations is None:
        return FittedValue(coefficient.name, value, None, None, None, state)
    marginal, alone = ((max(low, value - 1.96 * d), min(high, value + 1.96 * d)) for d in deviations)
    return FittedValue(coefficient.name, value, *marginal, alone, state)


# What a reader must know


def _state_warnings(estimates: list[FittedValue], form: Form) -> Iterator[str]:
    for estimate, coefficient in zip(estimates, form.coefficients, strict=True):
        low = _shown(coefficient.low)
        if estimate.state == "unseen":
            yield f"{estimate.name} has no effect on any step of the table: it is not fitted"
        elif estimate.state == "flat":
            yield f"{estimate.name} has no effect so near to {low}: {low} stands"
        elif estimate.state == "at its bound":
            yield f"{estimate.name} is at its bound {_shown(estimate.value)}: the steps would take it further"
    free = [estimate.name for estimate in estimates if estimate.state == "fitted" and estimate.low is None]
    if len(free) == 1:
        yield f"{free[0]} is not determined by these steps: it has no interval"
    elif free:
        names = f"{', '.join(free[:-1])} and {free[-1]}"
        yield f"{names} cannot be told apart by these steps: only what they do together is known"


def _confounded_warnings(names: list[str], spread: _Spread) -> list[str]:
    return [
        f"{names[i]} and {names[j]} trade off against each other (correlation"
        f" {spread.correlation[i, j]:+.3f}): what they do together is known better than either"
        for i in range(len(names))
        for j in spread.partners(i)
        if i < j
    ]


def _shown(value: float) -> str:
    return f"{value:g}"
