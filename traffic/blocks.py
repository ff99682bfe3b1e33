"""From single times or drawn gaps to blocks of arrival times before a horizon."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice, takewhile
from math import inf, nextafter
from operator import index
from typing import SupportsIndex

import numpy as np

from traffic.units import FloatArray, IntArray

DrawGaps = Callable[[int], FloatArray]
"""The next n gaps of a renewal process, in ps and not yet rounded."""


def until(horizon_ps: int, times_ps: Iterable[int], size: int) -> Iterator[list[int]]:
    """Non-decreasing times, cut at the horizon and packed into blocks."""
    before = takewhile(lambda at_ps: at_ps < horizon_ps, times_ps)
    while block := list(islice(before, size)):
        yield block


def of_ints(blocks: Iterable[IntArray | Iterable[SupportsIndex]]) -> Iterator[list[int]]:
    """The same times as ints of Python, which compiled code asks for, whatever they were made as."""
    for block in blocks:
        yield block.tolist() if isinstance(block, np.ndarray) else list(map(index, block))


def accumulated(horizon_ps: int, draw_gaps_ps: DrawGaps, size: int) -> Iterator[list[int]]:
    """Times of a renewal process.

    A process whose gaps come from one vector draw (exponential, gamma, Weibull) needs no more than this.
    """
    for block in sums(horizon_ps, draw_gaps_ps, size):
        yield block.tolist()


def sums(horizon_ps: int, draw_gaps_ps: DrawGaps, size: int) -> Iterator[IntArray]:
    """Running sums of gaps below the horizon; rounded one by one and added as integers, so nothing drifts."""
    assert 0 <= horizon_ps < 2**63 - 2**11, horizon_ps
    now_ps, enough_ps = 0, nextafter(horizon_ps, inf)
    while True:
        # A gap beyond the horizon ends the run whatever its length, and has to fit an integer.
        gaps_ps = np.minimum(np.rint(draw_gaps_ps(size)), enough_ps).astype(np.uint64)
        # Sums wrap at 2**64 only beyond the first one that passes the horizon, where they are cut off.
        times_ps = np.uint64(now_ps) + np.cumsum(gaps_ps)
        if (beyond := times_ps >= horizon_ps).any():
            if first_beyond := int(np.argmax(beyond)):
                yield times_ps[:first_beyond].astype(np.int64)
            return
        yield times_ps.astype(np.int64)
        now_ps = int(times_ps[-1])
