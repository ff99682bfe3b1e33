"""The arrays that columns, metrics and statistics are made of: in a module of its own, without pyarrow."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

WIDEST = 6
"""A table of ints that are known pays up to so many entries for each that is looked up; as in numpy."""


def distinct(values: NDArray[Any]) -> NDArray[Any]:
    """In order. `numpy.unique` would load numpy.ma for them, a hundredth of a short run."""
    found: NDArray[Any] = np.unique(values, return_counts=True)[0]
    return found


def among(values: NDArray[Any], known: NDArray[Any] | Sequence[int]) -> Mask:
    """Which of the ints `values` are some of `known`.

    `numpy.isin` alone would ask for numpy.ma as well, where there is no room for a table of what is known.
    """
    if not len(known):
        return np.zeros(len(values), dtype=np.bool_)
    ordered = np.sort(known)
    found: Mask
    if ordered[-1] - ordered[0] <= WIDEST * len(values):
        found = np.isin(values, ordered, kind="table")
    else:
        found = ordered[np.searchsorted(ordered, values) % len(ordered)] == values
    return found


def quantile(values: Floats, probability: float) -> float:
    """`numpy.quantile` to the last bit, of values that are there and finite; it asks for numpy.ma, too."""
    ordered, at = np.sort(values), probability * (len(values) - 1)
    below = int(at)
    low, high = ordered[below], ordered[min(below + 1, len(ordered) - 1)]
    share = at - below
    return float(high - (high - low) * (1 - share) if share >= 0.5 else low + (high - low) * share)
