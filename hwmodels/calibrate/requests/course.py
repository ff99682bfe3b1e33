"""What an engine did, told by the stamps of its requests alone: every first and last token ends a step.

Between the first and the last token of an answer lie as many steps as tokens. Those with a prompt end where
another request has its first token; the others decode only. Who decoded beside is known as well.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from e80sim.measured import MeasuredRequests
from e80sim.mistakes import UserError
from hwmodels.calibrate.step_table import BoolArray, FloatArray, IntArray
from hwmodels.gpu_step import GpuStep
from hwmodels.llm import Llm

TOGETHER_MS = 0.3
"""First tokens no further apart come from one step: 95 % of those of a vLLM server did within 0.13 ms."""


@dataclass(frozen=True, slots=True, eq=False)
class Stamps:
    """In order of first tokens; times in ms from the first arrival."""

    arrival: FloatArray
    first: FloatArray
    last: FloatArray
    prompt: FloatArray
    output: FloatArray
    """Tokens."""

    @classmethod
    def of(cls, measured: MeasuredRequests) -> "Stamps":
        """UserError where the file does not say when answers began and ended."""
        rows = [
            (1e3 * row.arrival_s, row.ttft_ms, row.e2e_ms, row.input_tokens, row.output_tokens)
            for row in measured.answered
            if row.ttft_ms and row.e2e_ms and row.input_tokens and row.output_tokens
        ]
        if not rows:
            raise UserError(
                f"{measured.name} has no request with sizes, TTFT and E2E, and a law is fitted to "
                "when answers begin and end"
            )
        arrival, ttft, e2e, prompt, output = np.array(rows, dtype=np.float64).T
        order = np.argsort(arrival + ttft, kind="stable")
        return cls(*(a[order] for a in (arrival, arrival + ttft, arrival + e2e, prompt, output)))


class Law(NamedTuple):
    """By which a course is read."""

    step: GpuStep
    llm: Llm
    budget: int
    """`max_num_batched_tokens`."""


Pace = Callable[[FloatArray], FloatArray]
"""Times to times in which tokens come evenly."""


@dataclass(frozen=True, slots=True, eq=False)
class PromptSteps:
    """A row per step, or run of steps, that ended with first tokens; in order of time."""

    end_ms: FloatArray
    step_of: IntArray
    """By request, the row with its first token."""
    prompts: FloatArray
    new_tokens: FloatArray
    pairs: FloatArray
    """Attention pairs of whole prompts."""
    decodes: FloatArray
    kv_tokens: FloatArray
    """Cached tokens of the decodes."""


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """Of one recording. The last five have a row per request."""

    stamps: Stamps
    prompt_steps: PromptSteps
    begin: IntArray
    """With `end` the rows of `prompt_steps` between its first and its last token."""
    end: IntArray
    decoded: FloatArray
    """Tokens of all answers in steps between its first and its last token, those of its own included."""
    kv_read: FloatArray
    """Cached tokens of all decodes, summed over these steps."""
    usable: BoolArray
    """Its stamps can be explained by whole steps."""


def course(stamps: Stamps, law: Law | None = None) -> Course:
    """By a law, an answer has its tokens evenly by steps; without one, evenly in time."""
    step_of, begins, end_ms = _prompt_steps(stamps)
    read = _course(stamps, _Decoding(stamps, _as_it_is), step_of, begins, end_ms)
    if law is None:
        return read
    pace = _pace(read.prompt_steps, law)
    return _course(stamps, _Decoding(stamps, pace), step_of, begins, end_ms)


def _prompt_steps(stamps: Stamps) -> tuple[IntArray, FloatArray, FloatArray]:
    """Of each request its row; of each row its first stamp and its last."""
    first = stamps.first
    starts = np.concatenate([[True], np.diff(first) > TOGETHER_MS])
    step_of = np.cumsum(starts) - 1
    end_ms = np.zeros(int(step_of[-1]) + 1)
    np.maximum.at(end_ms, step_of, first)
    return step_of, first[starts], end_ms


def _course(
    stamps: Stamps, decoding: "_Decoding", step_of: IntArray, begins: FloatArray, end_ms: FloatArray
) -> Course:
    """Who begins with a step does not decode in it."""
    first, last, rows = stamps.first, stamps.last, len(begins)
    steps = PromptSteps(
        end_ms=end_ms,
        step_of=step_of,
        prompts=np.bincount(step_of, minlength=rows).astype(np.float64),
        new_tokens=_sums(step_of, stamps.prompt, rows),
        pairs=_sums(step_of, stamps.prompt * (stamps.prompt + 1) / 2, rows),
        decodes=decoding.sequences(begins),
        kv_tokens=decoding.cached(begins),
    )
    begin, end = step_of + 1, np.searchsorted(begins, last + TOGETHER_MS, side="right")
    end = np.maximum(begin, end)
    gaps = stamps.output - 1
    usable = (gaps > 0) & (last > first) & (end - begin <= gaps)
    return Course(
        stamps, steps, begin, end, decoding.tokens(first, last), decoding.reads(first, last), usable
    )


def _as_it_is(times: FloatArray) -> FloatArray:
    return times


def _pace(rows: PromptSteps, law: Law) -> Pace:
    """Time in steps: one for each of those with prompts, and in between as many as decodes had time for."""
    long_ms = prompt_steps_ms(law.step, law.llm, rows, law.budget)
    decode_ms = decode_steps_ms(law.step, law.llm, rows)
    before = np.concatenate([[-np.inf], rows.end_ms[:-1]])
    begin = np.maximum(rows.end_ms - long_ms, before)
    steps = np.empty(2 * len(begin))
    steps[0::2] = np.concatenate([[0.0], (begin[1:] - rows.end_ms[:-1]) / decode_ms[1:]])
    steps[1::2] = 1.0
    knots = np.stack([begin, rows.end_ms], axis=1).reshape(-1)
    return _Pace(knots, np.cumsum(steps), float(decode_ms[0]), float(decode_ms[-1]))


class _Pace:
    """Linear between its knots; before and after them steps take `first_ms` and `last_ms`."""

    def __init__(self, knots: FloatArray, steps: FloatArray, first_ms: float, last_ms: float) -> None:
        self._knots, self._steps = knots, steps
        self._first_ms, self._last_ms = first_ms, last_ms

    def __call__(self, times: FloatArray) -> FloatArray:
        inside = np.interp(times, self._knots, self._steps)
        before = np.minimum(times - self._knots[0], 0) / self._first_ms
        steps: FloatArray = inside + before + np.maximum(times - self._knots[-1], 0) / self._last_ms
        return steps


def _sums(group: IntArray, values: FloatArray, groups: int) -> FloatArray:
    return np.bincount(group, values, groups).astype(np.float64)


class _Decoding:
    """Sums over the sequences that decode, as functions of time: their tokens come evenly in its pace."""

    def __init__(self, stamps: Stamps, pace: Pace) -> None:
        on, off = pace(stamps.first), pace(stamps.last)
        gaps, lasts = np.maximum(stamps.output - 1, 0), np.maximum(off - on, 1e-9)
        rate = np.where(stamps.output > 1, gaps / lasts, 0.0)
        cached = stamps.prompt  # of a sequence at its first token
        self._pace = pace
        self._on_off = np.sort(stamps.first), np.sort(stamps.last)
        self._rate = _Steps(on, off, rate)
        # cached(t) = prompt + rate * (t - first), and as many are read with each of its tokens
        self._cached = _Steps(on, off, cached - rate * on, rate)
        self._reads = _Steps(on, off, rate * (cached - rate * on), rate * rate)

    def sequences(self, at: FloatArray) -> FloatArray:
        """That decode in a step which ends at these times."""
        on, off = self._on_off
        found = np.searchsorted(on, at, side="left") - np.searchsorted(off, at - TOGETHER_MS, side="left")
        decodes: FloatArray = np.maximum(found, 0).astype(np.float64)
        return decodes

    def cached(self, at: FloatArray) -> FloatArray:
        cached: FloatArray = np.maximum(self._cached.at(self._pace(at - TOGETHER_MS)), 0.0)
        return cached

    def tokens(self, begin: FloatArray, end: FloatArray) -> FloatArray:
        return self._rate.integral(self._pace(end)) - self._rate.integral(self._pace(begin))

    def reads(self, begin: FloatArray, end: FloatArray) -> FloatArray:
        return self._reads.integral(self._pace(end)) - self._reads.integral(self._pace(begin))


class _Steps:
    """The sum of `constant + slope * t` of each sequence while it decodes."""

    def __init__(
        self, on: FloatArray, off: FloatArray, constant: FloatArray, slope: FloatArray | None = None
    ) -> None:
        slope = np.zeros_like(constant) if slope is None else slope
        times = np.concatenate([on, off])
        order = np.argsort(times, kind="stable")
        self._times = times[order]
        self._constant = np.cumsum(np.concatenate([constant, -constant])[order])
        self._slope = np.cumsum(np.concatenate([slope, -slope])[order])
        width = np.diff(self._times)
        middle = self._times[:-1] + width / 2
        pieces = (self._constant[:-1] + self._slope[:-1] * middle) * width
        self._integral = np.concatenate([[0.0], np.cumsum(pieces)])

    def at(self, times: FloatArray) -> FloatArray:
        index = np.searchsorted(self._times, times, side="right") - 1
        value: FloatArray = np.where(index < 0, 0.0, self._constant[index] + self._slope[index] * times)
        return value

    def integral(self, times: FloatArray) -> FloatArray:
        """From before the first of them on."""
        index = np.clip(np.searchsorted(self._times, times, side="right") - 1, 0, None)
        since = times - self._times[index]
        piece = (self._constant[index] + self._slope[index] * (self._times[index] + since / 2)) * since
        whole: FloatArray = self._integral[index] + np.where(since > 0, piece, 0.0)
        return whole


def blocks(courses: Iterable[Course], number: int) -> IntArray:
    """A block of time for each request, `number` of them in each recording: neighbours err alike."""
    found: list[IntArray] = []
    for index, one in enumerate(courses):
        span = max(float(one.stamps.first[-1] - one.stamps.first[0]), 1e-9)
        place = (one.stamps.first - one.stamps.first[0]) / span * number
        found.append(index * number + np.minimum(place.astype(np.int64), number - 1))
    return np.concatenate(found)


def prompt_steps_ms(step: GpuStep, llm: Llm, rows: PromptSteps, budget: int) -> FloatArray:
    """By the law, of each row: prompts beyond the budget of a step take several full ones and a rest."""
    window, full = llm.window_share * llm.sliding_window_tokens, 1 - llm.window_share
    room = np.maximum(budget - rows.decodes, 1.0)
    whole = np.maximum(np.ceil(rows.new_tokens / room) - 1, 0.0)
    rest = rows.new_tokens - whole * room
    dense = step.fixed_ms + step.dense_ms(rest + rows.decodes, llm)
    dense += whole * (step.fixed_ms + step.dense_ms(np.full_like(room, budget), llm)) * (whole > 0)
    mixed = np.where(rows.decodes > 0, step.mixed_kv_multiplier, 1.0)
    each = step.sequence_ms * rows.decodes + step.prompts_ms
    each += step.kv_token_ms * (full * mixed * rows.kv_tokens + window * rows.decodes)
    pairs = full * rows.pairs + window * rows.new_tokens
    total: FloatArray = (
        dense + (whole + 1) * each + step.pair_ms * pairs + step.sequence_ms * (rows.prompts + whole)
    )
    return total


def decode_steps_ms(step: GpuStep, llm: Llm, rows: PromptSteps) -> FloatArray:
    """By the law, of each row: a step of its decodes, without the prompts."""
    window, full = llm.window_share * llm.sliding_window_tokens, 1 - llm.window_share
    each = step.sequence_ms + step.kv_token_ms * window
    dense = step.fixed_ms + step.dense_ms(np.maximum(rows.decodes, 1.0), llm)
    total: FloatArray = dense + each * rows.decodes + step.kv_token_ms * full * rows.kv_tokens
    return total
