"""The law's terms that decoding tells: how long answers took between their first and their last token.

The law comes from elsewhere, a step table or a catalogue entry. Fitted are factors on its terms and the price
of a KV token in mixed steps. Answers that run side by side err alike, so intervals count blocks of time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from e80sim.mistakes import UserError
from hwmodels.calibrate.requests.course import Course, blocks, prompt_steps_ms
from hwmodels.calibrate.step_table import FloatArray
from hwmodels.dense import DenseTable, SmoothRoofline
from hwmodels.gpu_step import GpuStep
from hwmodels.llm import Llm

SOFT_ERROR = 0.02
BLOCKS = 20
"""Of each recording: 30 s of one of ten minutes, some twenty answers long."""
LEAST_ANSWERS = 50
RIDGE = 1e-5
"""A factor of 2 costs as much as an error of 0.0007 % on every answer: it holds only what nothing tells."""
MOST = 10.0
SEEN = 0.002
"""A tenth more of a term, or one more of the multiplier, moves answers by so much, or is not told."""
MIXED = "mixed_kv_multiplier"

Adjust = Callable[[GpuStep, float], GpuStep]


def _weights(step: GpuStep, factor: float) -> GpuStep:
    dense = step.dense
    assert isinstance(dense, SmoothRoofline)
    dense = replace(dense, weights_ms=dense.weights_ms * factor)
    return replace(step, fixed_ms=step.fixed_ms * factor, dense=dense)


def _token(step: GpuStep, factor: float) -> GpuStep:
    dense = step.dense
    assert isinstance(dense, SmoothRoofline)
    return replace(step, dense=replace(dense, token_ms=dense.token_ms * factor))


def _dense(step: GpuStep, factor: float) -> GpuStep:
    dense = step.dense
    assert isinstance(dense, DenseTable)
    return replace(step, dense=DenseTable(dense.tokens, tuple(factor * ms for ms in dense.times_ms)))


def _mixed(step: GpuStep, multiplier: float) -> GpuStep:
    return replace(step, mixed_kv_multiplier=multiplier)


ROOFLINE: dict[str, Adjust] = {
    "weights_factor": _weights,
    "token_factor": _token,
    MIXED: _mixed,
}
TABLE: dict[str, Adjust] = {
    "dense_factor": _dense,
    MIXED: _mixed,
}
"""What may be fitted, by name, and how a law changes with it."""


@dataclass(frozen=True, slots=True)
class Told:
    """With `low` and `high` a 95 % interval."""

    name: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class DecodingFit:
    step: GpuStep
    """The law with everything that was fitted in it."""
    told: tuple[Told, ...]
    unseen: tuple[str, ...]
    """What these answers do not tell, and the law keeps."""
    answers: int
    error: float
    """Mean of the absolute errors of (last - first token), as a share."""
    error_before: float
    """With the law as it was."""
    correlations: dict[tuple[str, str], float]
    """Of the values' errors."""


def fit_decoding(step: GpuStep, llm: Llm, courses: Sequence[Course], budget: int) -> DecodingFit:
    """`budget` is `max_num_batched_tokens`. UserError with too few answers to fit anything to."""
    adjust = TABLE if isinstance(step.dense, DenseTable) else ROOFLINE
    answers = _Answers(courses, budget)
    if answers.number < LEAST_ANSWERS:
        raise UserError(
            f"{answers.number} answers of two tokens and more are too few to fit to: {LEAST_ANSWERS} at least"
        )
    adjust, unseen = _seen(step, llm, answers, adjust)
    prior = np.array([step.mixed_kv_multiplier if name == MIXED else 1.0 for name in adjust])
    solved = _solve(step, llm, answers, adjust, prior)
    told = [
        Told(name, float(value), max(float(name == MIXED), float(value - 1.96 * d)), float(value + 1.96 * d))
        for name, value, d in zip(adjust, solved.values, np.sqrt(np.diag(solved.covariance)), strict=True)
    ]
    fitted = _adjusted(step, adjust, solved.values)
    return DecodingFit(
        step=fitted,
        told=tuple(told),
        unseen=unseen,
        answers=answers.number,
        error=float(np.abs(answers.errors(fitted, llm)).mean()),
        error_before=float(np.abs(answers.errors(step, llm)).mean()),
        correlations=_correlations(list(adjust), solved.covariance),
    )


def answer_errors(step: GpuStep, llm: Llm, courses: Sequence[Course], budget: int) -> list[FloatArray]:
    """Shares by which the law is off the length of each answer, an array for each block of time."""
    answers = _Answers(courses, budget)
    errors = answers.errors(step, llm)
    return [errors[answers.block == block] for block in np.unique(answers.block)]


def _seen(
    step: GpuStep, llm: Llm, answers: "_Answers", adjust: dict[str, Adjust]
) -> tuple[dict[str, Adjust], tuple[str, ...]]:
    """What moves the answers, and the names of what does not."""
    before = answers.errors(step, llm)
    moved = {
        name: np.abs(answers.errors(change(step, _more(step, name)), llm) - before).mean()
        for name, change in adjust.items()
    }
    return (
        {name: change for name, change in adjust.items() if moved[name] >= SEEN},
        tuple(name for name in adjust if moved[name] < SEEN),
    )


def _more(step: GpuStep, name: str) -> float:
    return step.mixed_kv_multiplier + 1 if name == MIXED else 1.1


def _adjusted(step: GpuStep, adjust: dict[str, Adjust], values: FloatArray) -> GpuStep:
    for change, value in zip(adjust.values(), values, strict=True):
        step = change(step, float(value))
    return step


def _correlations(names: list[str], covariance: FloatArray) -> dict[tuple[str, str], float]:
    deviation = np.sqrt(np.diag(covariance))
    matrix = covariance / np.maximum(np.outer(deviation, deviation), 1e-300)
    return {
        (names[i], names[j]): float(matrix[i, j]) for i in range(len(names)) for j in range(i + 1, len(names))
    }


class _Solved(NamedTuple):
    values: FloatArray
    covariance: FloatArray


def _solve(
    step: GpuStep, llm: Llm, answers: "_Answers", adjust: dict[str, Adjust], prior: FloatArray
) -> _Solved:
    from scipy.optimize import least_squares  # noqa: PLC0415  (0.2 s that only a fit should pay)

    lowest = np.array([1.0 if name == MIXED else 0.1 for name in adjust])
    ridge = RIDGE * answers.number**0.5

    def errors(values: FloatArray) -> FloatArray:
        return np.concatenate(
            [answers.errors(_adjusted(step, adjust, values), llm), ridge * np.log(values / prior)]
        )

    inside = np.clip(prior, lowest + 1e-6, MOST - 1e-6)
    found = least_squares(errors, inside, bounds=(lowest, MOST), loss="soft_l1", f_scale=SOFT_ERROR)
    values, left = np.asarray(found.x), errors(found.x)
    far = 1 + (left / SOFT_ERROR) ** 2
    jacobian = np.asarray(found.jac) / np.sqrt(far**-1.5)[:, None]  # the solver scaled it by the loss
    inverse = np.linalg.pinv((jacobian * (far**-1.5)[:, None]).T @ jacobian)
    return _Solved(values, inverse @ answers.meat((left / np.sqrt(far))[:, None] * jacobian) @ inverse)


class _Answers:
    """Of all recordings, those whose length the law can be held against."""

    def __init__(self, courses: Sequence[Course], budget: int) -> None:
        self._courses = [_Runs(one, budget) for one in courses]
        usable = np.concatenate([one.usable for one in courses])
        self.block = blocks(courses, BLOCKS)[usable]
        self.number = int(usable.sum())

    def errors(self, step: GpuStep, llm: Llm) -> FloatArray:
        """Shares of (last - first token) by which the law is off."""
        return np.concatenate([one.errors(step, llm) for one in self._courses])

    def meat(self, scores: FloatArray) -> FloatArray:
        """Of the cluster-robust sandwich: outer products of the sums over blocks of time."""
        own = scores[: self.number]
        _, block = np.unique(self.block, return_inverse=True)
        number = int(block.max()) + 1
        sums = np.stack([np.bincount(block, column, number) for column in own.T], axis=1)
        correction = number / max(number - own.shape[1], 1)
        return np.asarray(correction * sums.T @ sums)


class _Runs:
    """Of one recording: its answers as numbers of steps of either kind."""

    def __init__(self, one: Course, budget: int) -> None:
        self._steps = steps = one.prompt_steps
        self._lasting = (one.stamps.last - one.stamps.first)[one.usable]
        self._begin, self._end = one.begin[one.usable], one.end[one.usable]
        self._budget = budget
        self._chunked = np.maximum(np.ceil(steps.new_tokens / np.maximum(budget - steps.decodes, 1)), 1.0)
        gaps = (one.stamps.output - 1)[one.usable]
        self._pure = np.maximum(gaps - self._between(self._chunked), 0.0)
        decoded = one.decoded[one.usable] - self._between(steps.decodes * self._chunked)
        reads = one.kv_read[one.usable] - self._between(steps.kv_tokens * self._chunked)
        self._decoded, self._reads = np.maximum(decoded, self._pure), np.maximum(reads, 0.0)

    def errors(self, step: GpuStep, llm: Llm) -> FloatArray:
        """Decode steps have the mean number of decodes of their answer: the dense part is all but linear."""
        window, full = llm.window_share * llm.sliding_window_tokens, 1 - llm.window_share
        mean = np.divide(self._decoded, self._pure, out=np.ones_like(self._decoded), where=self._pure > 0)
        alone = self._pure * (step.fixed_ms + step.dense_ms(np.maximum(mean, 1.0), llm))
        alone += (step.sequence_ms + step.kv_token_ms * window) * self._decoded * (self._pure > 0)
        alone += step.kv_token_ms * full * self._reads * (self._pure > 0)
        errors: FloatArray = (
            alone + self._between(prompt_steps_ms(step, llm, self._steps, self._budget))
        ) / self._lasting - 1
        return errors

    def _between(self, per_step: FloatArray) -> FloatArray:
        total = np.concatenate([[0.0], np.cumsum(per_step)])
        between: FloatArray = total[self._end] - total[self._begin]
        return between
