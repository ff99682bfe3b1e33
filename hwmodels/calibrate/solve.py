"""Least squares on relative errors, within bounds."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hwmodels.calibrate.forms import Form, predicted_ms
from hwmodels.calibrate.step_table import BoolArray, FloatArray, IntArray, StepTable
from hwmodels.llm import Llm

SOFT_ERROR = 0.05
"""Errors beyond 5 % count by their size instead of its square, so that odd corners do not steer the fit."""
P_NORM_STARTS = (2.0, 1.2)
"""A sharp corner and nearly a sum: from one of them the better minimum was found on every table tried."""


@dataclass(frozen=True, slots=True)
class Solution:
    """`jacobian` and `errors` are those of the fitted steps; columns of coefficients without effect are 0."""

    x: FloatArray
    seen: BoolArray
    """Coefficients that the fitted steps show at all; the others stand at their start."""
    errors: FloatArray
    jacobian: FloatArray
    cost: float


def solve(
    form: Form, table: StepTable, llm: Llm, fitted: IntArray, start: FloatArray | None = None
) -> Solution:
    """Fit to the steps with these indices; `start` spares the search from several places."""
    starts = _starts(form) if start is None else [start]
    return min((_solve_from(x, form, table, llm, fitted) for x in starts), key=lambda found: found.cost)


def relative_errors(x: FloatArray, form: Form, table: StepTable, llm: Llm) -> FloatArray:
    return predicted_ms(form.step(x), table, llm) / table.step_ms - 1


def _starts(form: Form) -> list[FloatArray]:
    usual = np.array([coefficient.start for coefficient in form.coefficients])
    if "p_norm" not in form.names:
        return [usual]
    at = form.names.index("p_norm")
    return [np.concatenate([usual[:at], [p], usual[at + 1 :]]) for p in P_NORM_STARTS]


def _solve_from(start: FloatArray, form: Form, table: StepTable, llm: Llm, fitted: IntArray) -> Solution:
    from scipy.optimize import least_squares  # noqa: PLC0415  (0.2 s that only a fit should pay)

    scale, low, high = (
        np.array([getattr(coefficient, side) for coefficient in form.coefficients])
        for side in ("scale", "low", "high")
    )
    margin = np.where(np.isfinite(high), np.minimum(1e-6 * scale, 0.4 * (high - low)), 1e-6 * scale)
    inside = np.clip(start, low + margin, high - margin)

    def errors(x: FloatArray) -> FloatArray:
        return relative_errors(x, form, table, llm)[fitted]

    at_start = errors(inside)
    seen = np.array([_shows(errors, inside, at_start, index, scale[index]) for index in range(len(inside))])

    def errors_of(free: FloatArray) -> FloatArray:
        x = inside.copy()
        x[seen] = free
        return errors(x)

    found = least_squares(
        errors_of,
        inside[seen],
        bounds=(low[seen], high[seen]),
        x_scale=scale[seen],
        loss="soft_l1",
        f_scale=SOFT_ERROR,
    )
    x = start.copy()
    x[seen] = found.x
    remaining = errors(x)
    jacobian = np.zeros((len(fitted), len(x)))
    # The solver scales its rows by the square root of the loss's curvature; undo that.
    jacobian[:, seen] = np.asarray(found.jac) / np.sqrt(curvature(remaining))[:, None]
    return Solution(x, seen, remaining, jacobian, float(found.cost))


def _shows(
    errors: Callable[[FloatArray], FloatArray], x: FloatArray, at_x: FloatArray, index: int, scale: float
) -> bool:
    """Whether any step changes with this coefficient."""
    moved = x.copy()
    moved[index] += 0.5 * scale
    return bool(np.any(errors(moved) != at_x))


def influence(errors: FloatArray) -> FloatArray:
    """The derivative of the loss: small errors count as they are, large ones level off."""
    return errors / np.sqrt(1 + (errors / SOFT_ERROR) ** 2)


def curvature(errors: FloatArray) -> FloatArray:
    """The second derivative of the loss."""
    return (1 + (errors / SOFT_ERROR) ** 2) ** -1.5
