"""Time as whole picoseconds, and the numbers of a scenario taken exactly as they were written."""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

PS_PER_S = 10**12

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

BLOCK = 4096
"""Draws per vector call: large enough that its fixed cost vanishes, small enough to stay in cache."""


def as_written(value: float) -> Fraction:
    """The decimal that a person wrote: 0.1 is one tenth, not the binary fraction beside it."""
    return Fraction(repr(value))


def nearest(numerator: int, denominator: int) -> int:
    """The integer nearest to the ratio of two non-negative integers, halves up; exact at any size."""
    return (2 * numerator + denominator) // (2 * denominator)
