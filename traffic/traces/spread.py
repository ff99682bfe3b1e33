"""Rows that share a stamp: how coarse the clock was, and their arrivals spread over its tick if asked for.

Nothing is spread unless somebody asks: a file cannot tell requests of one instant from those of a coarse
clock.
"""

from typing import Literal

import numpy as np
from numpy.random import Generator

from traffic.units import PS_PER_S, IntArray

Spread = Literal["none", "even", "uniform"]

MANY_ZERO_GAPS = 0.2
"""Azure's two traces of 2023 have none and a Poisson stream of 100/s stamped to the ms has 5 %."""


def tick_ps(stamp_ps: IntArray) -> int:
    """The smallest step between two stamps; 0 where no rows share one, or all do: then no tick has shown."""
    steps_ps = np.diff(stamp_ps)
    if steps_ps.all() or not steps_ps.any():
        return 0
    return int(steps_ps[steps_ps > 0].min())


def zero_gap_share(stamp_ps: IntArray) -> float | None:
    """Of the gaps; None where there are none."""
    return float((np.diff(stamp_ps) == 0).mean()) if len(stamp_ps) > 1 else None


def spread_evenly(stamp_ps: IntArray) -> IntArray:
    """Rows of one stamp at equal distances until its next tick, the first of them where it was."""
    _, first, sharing = np.unique(stamp_ps, return_index=True, return_counts=True)
    place = np.arange(len(stamp_ps)) - np.repeat(first, sharing)
    even_ps: IntArray = stamp_ps + place * np.repeat(tick_ps(stamp_ps) // sharing, sharing)
    return even_ps


def spread_at_random(stamp_ps: IntArray, rng: Generator) -> IntArray:
    """All rows at random times of their tick, in order, and none after the last of an even spread."""
    tick = tick_ps(stamp_ps)
    if not tick:
        return stamp_ps
    random_ps = np.sort(stamp_ps + rng.integers(tick, size=len(stamp_ps)))
    times_ps: IntArray = np.minimum(random_ps, spread_evenly(stamp_ps)[-1])
    return times_ps


def spread_note(stamp_ps: IntArray, spread: Spread) -> str:
    """What `spread` did to the rows, by how much; empty where there was nothing to do or to say."""
    tick = tick_ps(stamp_ps)
    if spread == "none":
        return burst_warning(stamp_ps)
    if not tick:
        return f"`spread: {spread}` moved no row: the stamps show no tick to spread rows over."
    if spread == "uniform":
        return f"`spread: uniform` moved every row, by up to the clock's tick of {_seconds(tick)}."
    moved_ps = spread_evenly(stamp_ps) - stamp_ps
    moved_ps = moved_ps[moved_ps > 0]
    return (
        f"`spread: even` moved {len(moved_ps):,} of {len(stamp_ps):,} rows within the clock's tick of "
        f"{_seconds(tick)}: by {_seconds(moved_ps.mean())} on average and {_seconds(moved_ps.max())} at most."
    )


def burst_warning(stamp_ps: IntArray) -> str:
    """Empty unless many rows share their stamp."""
    share = zero_gap_share(stamp_ps) or 0.0
    if share <= MANY_ZERO_GAPS:
        return ""
    tick = tick_ps(stamp_ps)
    if not tick:
        return f"{share:.0%} of the gaps are zero: these rows arrive at one instant."
    return (
        f"{share:.0%} of the gaps are zero, and stamps that differ do so by {_seconds(tick)} or more: a "
        f"coarse clock, or requests that came in batches. Replayed as recorded, rows of one stamp arrive at "
        f"one instant; `spread: even` or `uniform` spreads them until the next tick."
    )


def _seconds(ps: float) -> str:
    return f"{ps / PS_PER_S:.4g} s"
