"""What first tokens tell of an engine: its front end, its launch, and whether it schedules a step ahead.

A request that meets a running batch and no other prompt waits for the rest of the step under way, for one
whole step more where the engine schedules ahead, and for its own: `front_end + U(0, s) [+ s] + own`, where s
is a decode step.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwmodels.calibrate.requests.course import Course, blocks, decode_steps_ms, prompt_steps_ms
from hwmodels.calibrate.step_table import BoolArray, FloatArray, IntArray
from hwmodels.gpu_step import GpuStep
from hwmodels.llm import Llm

STEPS_WAITED = {True: 1.5, False: 0.5}
"""By whether the engine schedules ahead: decode steps that pass in the mean before its own."""
BLOCKS = 20
SLOPE_FLOOR, LAUNCH_FLOOR_MS = 0.25, 1.0
"""Of their errors: that of the law itself is not in the scatter of the requests."""
DECISIVE = 9.0
"""Three standard deviations."""
LEAST = 20
"""Requests, before their mean is worth something."""


@dataclass(frozen=True, slots=True)
class Mean:
    """With `low` and `high` a 95 % interval; `requests` is how many it rests on."""

    value: float
    low: float
    high: float
    requests: int


@dataclass(frozen=True, slots=True)
class FirstTokens:
    """None where too few requests tell it."""

    async_scheduling: bool | None
    """None where both fit: requests at one load cannot tell a step of wait from a slower front end."""
    steps_waited: Mean | None
    """Slope of the wait over the length of a decode step: 1.5 with scheduling ahead, 0.5 without."""
    front_end_ms: dict[bool, Mean]
    """By whether the engine schedules ahead."""
    launch_ms: dict[bool, Mean]


@dataclass(frozen=True, slots=True)
class _Waits:
    """Of requests that met no other prompt: what passed beyond their own step, and a decode step then."""

    wait_ms: FloatArray
    decode_ms: FloatArray
    block: IntArray
    idle: BoolArray
    """Nobody was there when they came."""


def fit_first_tokens(step: GpuStep, llm: Llm, courses: Sequence[Course], budget: int) -> FirstTokens:
    """`step` is the law as decoding told it, `budget` is `max_num_batched_tokens`."""
    waits = _waits(step, llm, courses, budget)
    busy = ~waits.idle
    if busy.sum() < LEAST:
        return FirstTokens(None, None, {}, {})
    slope = _slope(waits, busy)
    front = {
        ahead: _mean(waits.wait_ms - steps * waits.decode_ms, waits.block, busy)
        for ahead, steps in STEPS_WAITED.items()
    }
    launch = {}
    if waits.idle.sum() >= LEAST:
        lone = _mean(waits.wait_ms, waits.block, waits.idle)
        launch = {ahead: _less(lone, one) for ahead, one in front.items()}
    return FirstTokens(_ahead(slope, launch), slope, front, launch)


def _ahead(slope: Mean, launch: dict[bool, Mean]) -> bool | None:
    """Which of the two holds, where the other does not: by the slope, and since a launch takes time."""
    against = {}
    for ahead, steps in STEPS_WAITED.items():
        against[ahead] = ((slope.value - steps) / max(_deviation(slope), SLOPE_FLOOR)) ** 2
        if ahead in launch:
            against[ahead] += (
                min(0.0, launch[ahead].value) / max(_deviation(launch[ahead]), LAUNCH_FLOOR_MS)
            ) ** 2
    better = min(against, key=lambda ahead: against[ahead])
    return better if against[not better] - against[better] > DECISIVE else None


def _deviation(mean: Mean) -> float:
    return (mean.high - mean.value) / 1.96


def _waits(step: GpuStep, llm: Llm, courses: Sequence[Course], budget: int) -> _Waits:
    found = []
    every = np.split(blocks(courses, BLOCKS), np.cumsum([len(one.stamps.first) for one in courses])[:-1])
    for one, block in zip(courses, every, strict=True):
        rows, stamps = one.prompt_steps, one.stamps
        own = rows.step_of
        own_ms = prompt_steps_ms(step, llm, rows, budget)[own]
        ended_before = np.concatenate([[-np.inf], rows.end_ms])[own]
        undisturbed = (ended_before < stamps.arrival) & (rows.prompts[own] == 1)
        undisturbed &= rows.new_tokens[own] + rows.decodes[own] <= budget
        running = _running(stamps.first, stamps.last, stamps.arrival)
        idle = (running == 0) & (rows.decodes[own] == 0)
        steady = (running > 0) & (rows.decodes[own] > 0)
        kept = undisturbed & (idle | steady)
        wait_ms = stamps.first - stamps.arrival - own_ms
        decode_ms = decode_steps_ms(step, llm, rows)[own]
        found.append((wait_ms[kept], decode_ms[kept], block[kept], idle[kept]))
    return _Waits(*(np.concatenate(column) for column in zip(*found, strict=True)))


def _running(first: FloatArray, last: FloatArray, at: FloatArray) -> IntArray:
    """Answers under way at these times."""
    begun = np.searchsorted(np.sort(first), at, side="right")
    return np.asarray(begun - np.searchsorted(np.sort(last), at, side="right"))


def _mean(values: FloatArray, block: IntArray, chosen: BoolArray) -> Mean:
    """Half of the largest and smallest two per cent are left out: stamps have a few stalls."""
    values, block = values[chosen], block[chosen]
    low, high = np.percentile(values, [1, 99])
    inside = (values >= low) & (values <= high)
    values, block = values[inside], block[inside]
    mean = float(values.mean())
    return _interval(mean, (values - mean) / len(values), block, int(chosen.sum()))


def _slope(waits: _Waits, chosen: BoolArray) -> Mean:
    wait, decode, block = waits.wait_ms[chosen], waits.decode_ms[chosen], waits.block[chosen]
    low, high = np.percentile(wait, [1, 99])
    inside = (wait >= low) & (wait <= high)
    wait, decode, block = wait[inside], decode[inside], block[inside]
    about = decode - decode.mean()
    size = max(float(about @ about), 1e-12)
    slope = float(about @ wait) / size
    left = wait - wait.mean() - slope * about
    return _interval(slope, left * about / size, block, int(chosen.sum()))


def _interval(value: float, scores: FloatArray, block: IntArray, requests: int) -> Mean:
    """Neighbours in time err alike, so blocks count."""
    _, group = np.unique(block, return_inverse=True)
    sums = np.bincount(group, scores)
    number = len(sums)
    error = float(np.sqrt((sums**2).sum() * number / max(number - 1, 1)))
    return Mean(value, value - 1.96 * error, value + 1.96 * error, requests)


def _less(lone: Mean, front: Mean) -> Mean:
    half = float(np.hypot(lone.high - lone.value, front.high - front.value))
    value = lone.value - front.value
    return Mean(value, value - half, value + half, lone.requests)
