"""How many independent requests correlated ones are worth, and blocks of them that can pass for independent.

Requests that share a queue are slow together: the share of them beyond a level varies as that of N / tau
independent ones, tau being the autocorrelation time. It is taken from batches of growing size: the variance
of their means times their size tends to tau (Geyer, Statistical Science 7:473, 1992; Asmussen & Glynn, IV.3).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reports.arrays import Floats, Ints, Mask, distinct

TIMES_PER_BATCH = 5
"""Batches of so many autocorrelation times show the time to about a tenth (Sokal's window)."""
LEAST_BATCHES = 16
BLOCKS = 20
"""Enough for Student's t to be narrow; more of them would only be shorter."""
TIMES_PER_BLOCK = 20
"""Neighbours so long share at most a fortieth of their variance."""


def time_beyond(parts: Sequence[Floats], level: float) -> float:
    """Autocorrelation time of who exceeds `level`; of who reaches it, where it is the highest value."""
    above = [part > level for part in parts]
    return autocorrelation_time(above if any(map(np.any, above)) else [part >= level for part in parts])


def autocorrelation_time(parts: Sequence[Mask]) -> float:
    """Of an event that happens to a request or does not, replication after replication; in requests, from 1.

    Batches grow until they are long against the time that they show, or too few: then there are at most
    twice `LEAST_BATCHES` of them, and the time is too short by what batches as long do not show.
    """
    count, happened = sum(map(len, parts)), sum(int(np.count_nonzero(part)) for part in parts)
    if happened in {0, count}:
        return 1.0
    size, found = 1, 1.0
    batches: list[NDArray[Any]] = [part.view(np.int8) for part in parts]
    while True:
        size, batches = 2 * size, [_paired(part) for part in batches]
        number, once, twice = (sum(of) for of in zip(*map(_moments, batches), strict=True))
        if number < LEAST_BATCHES:
            return found
        # Of how far each batch is from `size * happened / count`, in whole numbers: exact on any machine.
        apart = twice * count**2 - 2 * size * happened * count * once + number * (size * happened) ** 2
        found = max(1.0, float(apart / (number * size * happened * (count - happened))))
        if size >= TIMES_PER_BATCH * found:
            return found


def _paired(batches: NDArray[Any]) -> NDArray[Any]:
    """Of each two neighbours one batch of twice the size; a last one alone is left out."""
    even = len(batches) // 2 * 2
    together: NDArray[Any] = np.add(batches[:even:2], batches[1:even:2], dtype=np.int32)
    return together


def _moments(batches: NDArray[Any]) -> tuple[int, int, int]:
    """How many there are, their sum, and that of their squares."""
    squares = np.einsum("i,i->", batches, batches, dtype=np.int64)  # in pieces, and without threads
    return len(batches), int(batches.sum()), int(squares)


def blocks_per_replication(counts: Ints, time: float) -> Ints:
    """1 of each where there are many; few and long replications are cut into several."""
    if len(counts) >= BLOCKS:
        return np.ones(len(counts), np.int64)
    least = max(TIMES_PER_BLOCK * time, float(counts.sum()) / BLOCKS)
    blocks: Ints = np.maximum(counts // least, 1).astype(np.int64)
    return blocks


def block_edges(starts: Ints, blocks: Ints) -> Ints:
    """Where each block starts, and the end of the last; replications without a request have none."""
    cut = [np.linspace(a, b, n, endpoint=False) for (a, b), n in zip(pairwise(starts), blocks, strict=True)]
    return distinct(np.concatenate([*cut, starts[-1:]]).astype(np.int64))
