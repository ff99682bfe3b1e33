"""A calibration from table to law: fit, intervals, and the error on steps that the fit has not seen."""

from dataclasses import dataclass

import numpy as np

from e80sim.mistakes import UserError
from hwmodels.calibrate.forms import FORMS, Form
from hwmodels.calibrate.intervals import FittedValue, determine
from hwmodels.calibrate.solve import relative_errors, solve
from hwmodels.calibrate.step_table import FloatArray, IntArray, StepTable
from hwmodels.calibrate.tiles import tile_warnings
from hwmodels.dense import NO_TILES, GemmTiles
from hwmodels.entry import nearest
from hwmodels.gpu_step import GpuStep
from hwmodels.llm import Llm

LEAST_STEPS_PER_COEFFICIENT = 2


@dataclass(frozen=True, slots=True)
class Errors:
    """Of one part of the steps, as shares of the measured time; absent where the part is empty."""

    part: str
    steps: int
    mape: float | None
    p95: float | None


@dataclass(frozen=True, slots=True)
class Calibration:
    """Coefficients come from all steps; the held-out errors from a fit to the others alone."""

    table: StepTable
    llm: Llm
    weights: str
    form: Form
    tiles: GemmTiles
    estimates: tuple[FittedValue, ...]
    warnings: tuple[str, ...]
    errors: tuple[Errors, ...]
    held_out: tuple[Errors, ...]
    """Empty with nothing held out."""

    @property
    def step(self) -> GpuStep:
        return self.form.step(np.array([estimate.value for estimate in self.estimates]))

    @property
    def usual_error(self) -> Errors:
        return (self.held_out or self.errors)[0]

    def error_of(self, part: str) -> Errors:
        return next(errors for errors in self.held_out or self.errors if errors.part == part)


def calibrate(
    table: StepTable,
    llm: Llm,
    *,
    weights: str | None = None,
    form: str = "r6b",
    hold_out: float = 0.5,
    seed: int = 1,
    tiles: GemmTiles = NO_TILES,
) -> Calibration:
    """Fit `form` to `table`, its steps padded to whole `tiles`.

    UserError where the table is too short or the form unknown.
    """
    if form not in FORMS:
        raise UserError(nearest("form", form, FORMS))
    precision = llm.precision(weights)
    shape = FORMS[form](table, llm, precision, tiles)
    seen, unseen = _split(table, shape, hold_out, seed)
    half = solve(shape, table, llm, seen)
    everything = np.arange(table.rows)
    whole = half if not len(unseen) else solve(shape, table, llm, everything, half.x)
    determined = determine(shape, whole, table, everything)
    step = shape.step(whole.x)
    return Calibration(
        table=table,
        llm=llm,
        weights=precision,
        form=shape,
        tiles=tiles,
        estimates=determined.estimates,
        warnings=(*determined.warnings, *tile_warnings(table, step, llm)),
        errors=_errors(whole.x, shape, table, llm, everything),
        held_out=_errors(half.x, shape, table, llm, unseen) if len(unseen) else (),
    )


def _split(table: StepTable, form: Form, hold_out: float, seed: int) -> tuple[IntArray, IntArray]:
    """Indices of the steps to fit and of those held out."""
    if not 0 <= hold_out < 1:
        raise UserError(f"a share of {hold_out:g} cannot be held out: choose from 0 to below 1")
    shuffled = np.random.default_rng(seed).permutation(table.rows)
    held = int(hold_out * table.rows)
    least = LEAST_STEPS_PER_COEFFICIENT * len(form.coefficients)
    if table.rows - held < least:
        raise UserError(
            f"{table.name} leaves {table.rows - held} steps to fit {len(form.coefficients)} coefficients to:"
            f" at least {least} are needed" + (", so hold out less" if table.rows >= least else "")
        )
    return np.sort(shuffled[held:]), np.sort(shuffled[:held])


def _errors(x: FloatArray, form: Form, table: StepTable, llm: Llm, rows: IntArray) -> tuple[Errors, ...]:
    absolute = np.abs(relative_errors(x, form, table, llm))
    among = np.zeros(table.rows, dtype=bool)
    among[rows] = True
    return tuple(_errors_of(part, absolute[among & chosen]) for part, chosen in table.slices().items())


def _errors_of(part: str, absolute: FloatArray) -> Errors:
    if not absolute.size:
        return Errors(part, 0, None, None)
    return Errors(part, absolute.size, float(absolute.mean()), float(np.percentile(absolute, 95)))
