"""Rates and levels over time, averaged over equal bins from 0 to the horizon; a row per replication.

A level is the exact time average of a piecewise-linear function, summed up from its jumps and kinks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from reports.columns import Floats, Ints
from reports.record import PS_PER_S

ROWS_AT_ONCE = 1 << 17
MOST_BINS = 120
ODD_BINS = 100
ROUND_WIDTHS = (1.0, 2.0, 2.5, 5.0)


class Spans(NamedTuple):
    """From a begin up to an end, for every request; empty ones have begin >= end."""

    begin_ps: Ints
    end_ps: Ints


@dataclass(frozen=True)
class Grid:
    edges_ps: Ints
    replications: Sequence[int]

    @classmethod
    def of(cls, horizon_ps: int, replications: Sequence[int]) -> "Grid":
        return cls(np.linspace(0, horizon_ps, _bins(horizon_ps) + 1).round().astype(np.int64), replications)

    @property
    def widths_s(self) -> Floats:
        return np.diff(self.edges_ps) / PS_PER_S

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.replications), len(self.edges_ps) - 1

    def sums(
        self, at_ps: Ints, replication: Ints, weigh: Callable[[slice], Sequence[Floats | None]]
    ) -> list[Floats]:
        """One array of (replication, bin) per weight; None counts. Times off the grid are left out.

        `weigh` gives the weights of a slice of the rows: of all of them at once they would be most of what a
        report takes. They are added up row by row, so the slices change no bit of the sums.
        """
        found: list[Floats] = []
        for begin in range(0, max(len(at_ps), 1), ROWS_AT_ONCE):
            rows = slice(begin, begin + ROWS_AT_ONCE)
            at = at_ps[rows]
            inside = (at >= 0) & (at < self.edges_ps[-1])
            bins = np.searchsorted(self.edges_ps, at[inside], side="right") - 1
            cell = np.searchsorted(self.replications, replication[rows][inside]) * self.shape[1] + bins
            weights = weigh(rows)
            found = found or [np.zeros(self.shape[0] * self.shape[1]) for _ in weights]
            for sums, weight in zip(found, weights, strict=True):
                np.add.at(sums, cell, 1.0 if weight is None else weight[inside])
        return [sums.reshape(self.shape) for sums in found]

    def rest_s(self, at_ps: Ints) -> Floats:
        """From a time to the end of its bin."""
        bins = np.searchsorted(self.edges_ps, at_ps, side="right").clip(1, self.shape[1])
        rest: Floats = (self.edges_ps[bins] - at_ps) / PS_PER_S
        return rest

    def rates(self, at_ps: Ints, replication: Ints) -> Floats:
        """Events per second."""
        (found,) = self.sums(at_ps, replication, lambda _rows: (None,))
        return found / self.widths_s


class Level:
    """A piecewise-linear function of time that starts at 0, one per replication."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._jumps, self._jump_areas, self._kinks, self._kink_rises, self._kink_areas = (
            np.zeros(grid.shape) for _ in range(5)
        )

    def jump(self, at_ps: Ints, replication: Ints, by: Floats) -> None:
        self._jump(at_ps, replication, by, 1.0)

    def _jump(self, at_ps: Ints, replication: Ints, by: Floats, sign: float) -> None:
        def weigh(rows: slice) -> tuple[Floats, Floats]:
            signed = sign * by[rows]
            return signed, signed * self._grid.rest_s(at_ps[rows])

        jumps, areas = self._grid.sums(at_ps, replication, weigh)
        self._jumps += jumps
        self._jump_areas += areas

    def kink(self, at_ps: Ints, replication: Ints, by_per_s: Floats) -> None:
        """From here on the slope is greater by `by_per_s`."""

        def weigh(rows: slice) -> tuple[Floats, Floats, Floats]:
            rest_s = self._grid.rest_s(at_ps[rows])
            rises = by_per_s[rows] * rest_s
            return by_per_s[rows], rises, rises * rest_s / 2

        found = self._grid.sums(at_ps, replication, weigh)
        self._kinks += found[0]
        self._kink_rises += found[1]
        self._kink_areas += found[2]

    def hold(self, spans: Spans, replication: Ints, value: Floats) -> None:
        """Add `value` over each span."""
        self._jump(spans.begin_ps, replication, value, 1.0)
        self._jump(spans.end_ps, replication, value, -1.0)

    def means(self) -> Floats:
        """Time average in each bin."""
        widths_s = self._grid.widths_s
        slopes = _before(self._kinks)
        levels = _before(self._jumps + slopes * widths_s + self._kink_rises)
        areas = levels * widths_s + slopes * widths_s**2 / 2 + self._jump_areas + self._kink_areas
        found: Floats = areas / widths_s
        return found


def _before(values: Floats) -> Floats:
    """What has come together at the start of each bin."""
    found: Floats = np.cumsum(values, axis=1) - values
    return found


def _bins(horizon_ps: int) -> int:
    """The most bins whose width is a round number."""
    decade = 10.0 ** (len(str(max(horizon_ps // MOST_BINS, 1))) - 1)
    widths = [scale * width for scale in (decade, 10 * decade) for width in ROUND_WIDTHS]
    fits = (
        round(horizon_ps / w) for w in widths if (horizon_ps / w).is_integer() and horizon_ps / w <= MOST_BINS
    )
    return next(fits, min(ODD_BINS, horizon_ps))
