"""MSER-5: how much of the start of a series to drop, so that a run that starts empty does not bias its mean.

White (1997), White, Cobb & Spratt (2000); the best of 44 rules for automation in Hoad, Robinson & Davies,
JORS 61:1389 (2010). Only for stationary series: a load that drifts looks like a start-up that never ends.
"""

import numpy as np

from reports.columns import Floats

BATCH = 5
KEPT_BATCHES = 5
"""At the very end a few batches may agree by chance, and nothing is as precise as one value alone."""


def truncation(values: Floats) -> int | None:
    """How many leading values to drop; None where the optimum lies in the last half: the run is too short.

    Of the batch means, those after the first d have mean m and number n - d. The optimum minimises
    sum (z - m)^2 / (n - d)^2, the squared standard error that they would have if they were independent.
    """
    batches = len(values) // BATCH
    if batches < 2 * KEPT_BATCHES:
        return None
    z = values[: batches * BATCH].reshape(batches, BATCH).mean(axis=1)
    z = z - z.mean()  # sums of squares about the mean lose fewer digits
    sums, squares = np.cumsum(z[::-1])[::-1], np.cumsum((z * z)[::-1])[::-1]
    kept = np.arange(batches, 0, -1)
    spread = np.maximum(squares - sums * sums / kept, 0.0)
    errors = (spread / kept**2)[: batches - KEPT_BATCHES]
    dropped = int(np.argmin(errors))
    return None if dropped > batches // 2 else dropped * BATCH
