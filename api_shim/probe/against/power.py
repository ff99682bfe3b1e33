"""How many requests decide a hypothesis if the endpoint is as the run says: told by the run itself."""

from collections.abc import Sequence

import numpy as np

from api_shim.probe.against.decide import interval, verdict
from api_shim.probe.against.hypotheses import Hypothesis
from api_shim.probe.verdicts import SUPPORTED
from reports.columns import Floats

POWER = 0.8
TRIALS = 60
STEPS = (30, 60, 100, 150, 200, 300, 500, 750, 1000, 1500, 2000, 3000, 5000, 10_000)
"""Numbers of requests of a source that are tried."""
SEED = 1


def power(hypothesis: Hypothesis, count: int, level: float) -> float:
    """The share of probes of `count` requests of its source that support it."""
    rng = np.random.default_rng(SEED)
    tries = (_draw(hypothesis.run_values, count, rng) for _ in range(TRIALS))
    found = [verdict(interval(one, hypothesis.statistic, level), hypothesis.band) for one in tries]
    return found.count(SUPPORTED) / TRIALS


def _draw(values: Floats, count: int, rng: np.random.Generator) -> Floats:
    """A stretch of the run, which hangs together as one of the endpoint would; else single requests."""
    if len(values) >= 2 * count:
        start = int(rng.integers(0, len(values) - count + 1))
        return values[start : start + count]
    drawn: Floats = rng.choice(values, count)
    return drawn


def needed(hypothesis: Hypothesis, level: float, steps: Sequence[int] = STEPS) -> int | None:
    """The least of `steps` with a power of `POWER`; None where none has it."""
    if not len(hypothesis.run_values):
        return None
    low, high = 0, len(steps)  # more requests never decide less, but for chance
    while low < high:
        middle = (low + high) // 2
        if power(hypothesis, steps[middle], level) >= POWER:
            high = middle
        else:
            low = middle + 1
    return steps[low] if low < len(steps) else None
