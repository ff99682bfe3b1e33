"""Rates and levels over time, averaged over equal bins from 0 to the horizon; a row per replication.

A level is the exact time average of a piecewise-linear function, summed up from its jumps and kinks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from reports.columns import Floats, Ints
from reports.record import PS_PER_S

ROWS_AT_ONCE = 1 << 17
MOST_BINS = 120
ODD_BINS = 100
Rows = slice | Ints
Weigh = Callable[[Rows, Floats], Sequence[Floats]]
"""Of some rows, and from the time of each to the end of its bin: what they weigh, once or several times."""
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
    def horizon_ps(self) -> int:
        return int(self.edges_ps[-1])

    @property
    def widths_s(self) -> Floats:
        return np.diff(self.edges_ps) / PS_PER_S

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.replications), len(self.edges_ps) - 1

    def sums(
        self, at_ps: Ints, replication: Ints, weigh: Weigh, before: Sequence[Floats] | None = None
    ) -> list[Floats]:
        """One array of (replication, bin) per weight. Times off the grid are left out.

        `weigh` gives the weights of some of the rows at a time: of all of them at once they would be most of
        what a report takes. They are added up row by row, to the sums of the rows `before` if there are any,
        so the pieces change no bit.
        """
        cells = self.shape[0] * self.shape[1]
        found = None if before is None else [sums.ravel() for sums in before]
        for begin in range(0, max(len(at_ps), 1), ROWS_AT_ONCE):
            at = at_ps[begin : begin + ROWS_AT_ONCE]
            inside = (at >= 0) & (at < self.edges_ps[-1])
            rows: Rows = slice(begin, begin + ROWS_AT_ONCE)
            if not inside.all():
                at, rows = at[inside], begin + np.flatnonzero(inside)
            ends = np.searchsorted(self.edges_ps, at, side="right")
            rest_s = (self.edges_ps[ends] - at) / PS_PER_S
            cell = ends - 1
            if len(self.replications) > 1:
                cell += np.searchsorted(self.replications, replication[rows]) * self.shape[1]
            weights = weigh(rows, rest_s)
            if found is None:  # as added to sums that are all 0, without a copy of all rows
                found = [_summed(cell, weight, cells) for weight in weights]
            else:
                found = [added(sums, cell, weight) for sums, weight in zip(found, weights, strict=True)]
        assert found is not None
        return [sums.reshape(self.shape) for sums in found]

    def counts(self, at_ps: Ints, replication: Ints) -> Floats:
        """How many times lie in each (replication, bin)."""
        (found,) = self.sums(at_ps, replication, lambda _rows, rest_s: (np.ones(len(rest_s)),))
        return found


def added(sums: Floats, cell: Ints, weights: Floats) -> Floats:
    """`sums` by cell and what is added to them, row by row."""
    cells, values = np.concatenate([np.arange(len(sums)), cell]), np.concatenate([sums, weights])
    return _summed(cells, values, len(sums))


def _summed(cell: Ints, weights: Floats, cells: int) -> Floats:
    return np.bincount(cell, weights, cells).astype(np.float64)


class Level:
    """A piecewise-linear function of time that starts at 0, one per replication.

    What changes it comes in streams, each with a name. Of a long table a stream comes in pieces, which are
    added up as if they came at once.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._jumps: dict[str, list[Floats]] = {}
        self._kinks: dict[str, list[Floats]] = {}

    def jump(self, stream: str, at_ps: Ints, replication: Ints, by: Floats, sign: float = 1.0) -> None:
        def weigh(rows: Rows, rest_s: Floats) -> tuple[Floats, Floats]:
            signed = sign * by[rows]
            return signed, signed * rest_s

        self._jumps[stream] = self._grid.sums(at_ps, replication, weigh, self._jumps.get(stream))

    def kink(self, stream: str, at_ps: Ints, replication: Ints, by_per_s: Floats) -> None:
        """From here on the slope is greater by `by_per_s`."""

        def weigh(rows: Rows, rest_s: Floats) -> tuple[Floats, Floats, Floats]:
            rises = by_per_s[rows] * rest_s
            return by_per_s[rows], rises, rises * rest_s / 2

        self._kinks[stream] = self._grid.sums(at_ps, replication, weigh, self._kinks.get(stream))

    def hold(self, spans: Spans, replication: Ints, value: Floats) -> None:
        """Add `value` over each span."""
        self.jump("begin", spans.begin_ps, replication, value)
        self.jump("end", spans.end_ps, replication, value, -1.0)

    def means(self) -> Floats:
        """Time average in each bin."""
        widths_s = self._grid.widths_s
        jumps, jump_areas = self._together(self._jumps, 2)
        kinks, kink_rises, kink_areas = self._together(self._kinks, 3)
        slopes = _before(kinks)
        levels = _before(jumps + slopes * widths_s + kink_rises)
        areas = levels * widths_s + slopes * widths_s**2 / 2 + jump_areas + kink_areas
        found: Floats = areas / widths_s
        return found

    def _together(self, streams: Mapping[str, Sequence[Floats]], kinds: int) -> list[Floats]:
        found = [np.zeros(self._grid.shape) for _ in range(kinds)]
        for sums in streams.values():
            found = [one + more for one, more in zip(found, sums, strict=True)]
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
