"""Queues that need no simulator."""

import numpy as np
from numpy.typing import NDArray


def waits(rng: np.random.Generator, count: int, load: float) -> NDArray[np.float64]:
    """Waiting times of M/M/1 after a warm-up, by Lindley's recursion; one arrival a second on average."""
    steps = rng.exponential(load, count + 2000) - rng.exponential(1.0, count + 2000)
    walk = np.cumsum(steps)
    found: NDArray[np.float64] = (walk - np.minimum.accumulate(np.minimum(walk, 0)))[2000:]
    return found
