"""The random numbers of one caller, drawn in blocks: a generator per connection costs more than a request.

Messages, connections and users have generators of their own, so that the n-th of each has the same draws
however many there are of the others. A path without jitter and loss draws nothing.
"""

from collections.abc import Iterator
from itertools import chain, repeat

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from sim.network.jitter import Adding, FloatArray, Scaling
from sim.network.path import Path
from sim.network.transport import NEVER_LOST
from sim.time.units import PS_PER_MS

MESSAGE_BLOCK = 512
CONNECTION_BLOCK = MESSAGE_BLOCK // 8

Message = tuple[int, int, int, int, int, int, list[list[float]]]
"""Of the request, the answer's first byte and its last: three added delays in ps, three numbers of the first
segment lost, and a triple of factors per lognormal hop."""
Opening = tuple[int, list[float], int]
"""Of a connection: its added delay in ps, a scale in ps per lognormal hop, the first segment lost."""

QUIET: Message = (0, 0, 0, NEVER_LOST, NEVER_LOST, NEVER_LOST, [])
PLAIN: Opening = (0, [], NEVER_LOST)


def is_quiet(path: Path) -> bool:
    return not path.jitters and path.loss_per_segment == 0


def messages(path: Path, rng: Generator, noise_share: float, block: int = MESSAGE_BLOCK) -> Iterator[Message]:
    if is_quiet(path):
        return repeat(QUIET)
    return chain.from_iterable(_messages(path, rng, noise_share, block) for _ in repeat(None))


def openings(
    path: Path, rng: Generator, noise_share: float, block: int = CONNECTION_BLOCK
) -> Iterator[Opening]:
    if is_quiet(path):
        return repeat(PLAIN)
    return chain.from_iterable(_openings(path, rng, 1 - noise_share, block) for _ in repeat(None))


def users(rng: Generator, count: int) -> Iterator[int]:
    """Uniform and independent: a Poisson stream splits into Poisson streams, one per user."""
    return chain.from_iterable(rng.integers(count, size=MESSAGE_BLOCK).tolist() for _ in repeat(None))


def _messages(path: Path, rng: Generator, share: float, block: int) -> list[Message]:
    added = _added_ps(path, rng, share, (3, block))
    lost = _first_lost(path, rng, (3, block))
    factors = [
        jitter.factor(rng, share, (block, 3)) for jitter in path.jitters if isinstance(jitter, Scaling)
    ]
    by_message = np.stack(factors, axis=1).tolist() if factors else repeat([])
    return list(zip(*added.tolist(), *lost.tolist(), by_message, strict=False))


def _openings(path: Path, rng: Generator, share: float, block: int) -> list[Opening]:
    added = _added_ps(path, rng, share, (block,))
    lost = _first_lost(path, rng, (block,))
    scales = [
        jitter.base_ms(rng, share, (block,)) * PS_PER_MS
        for jitter in path.jitters
        if isinstance(jitter, Scaling)
    ]
    by_hop = np.stack(scales, axis=-1).tolist() if scales else repeat([])
    return list(zip(added.tolist(), by_hop, lost.tolist(), strict=False))


def _added_ps(path: Path, rng: Generator, share: float, size: tuple[int, ...]) -> NDArray[np.int64]:
    """The parts of the hops whose jitter adds."""
    total: FloatArray = np.zeros(size)
    for jitter in path.jitters:
        if isinstance(jitter, Adding):
            total += jitter.part_ms(rng, share, size)
    return np.rint(total * PS_PER_MS).astype(np.int64)


def _first_lost(path: Path, rng: Generator, size: tuple[int, ...]) -> NDArray[np.int64]:
    """Number of the first segment that is lost, counted from 1: beyond the end of nearly every message."""
    if path.loss_per_segment == 0:
        return np.full(size, NEVER_LOST)
    return rng.geometric(path.loss_per_segment, size)
