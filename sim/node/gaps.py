"""Gaps between consecutive tokens, counted in bins: what ITL is worked out from, without listing tokens.

A kernel tells of stretches of steps; how many of their durations fall into a bin is closed form over ints.
"""

from struct import Struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

FINE_BITS = 9
"""Bins are a picosecond wide up to 2^10 ps; from there 512 to a doubling, so 0.1 to 0.2 % wide."""
FINE = 1 << FINE_BITS
BINS = (62 - FINE_BITS + 1) * FINE
FLUSH_ROWS = 8192
FOREVER_PS = 1 << 62
CARRY_PS = 1 << 40

COLUMNS = 5
stretch = Struct(f"={COLUMNS}q").pack
"""Start, steps, duration of the first, growth per step, tokens per step that end a gap.

Bytes, because many small ints cost numpy three times as long to take in.
"""


class GapBins(NamedTuple):
    """Of the bins that hold a gap: edges (the upper one outside), mean and number."""

    from_ps: Ints
    to_ps: Ints
    mean_ps: Ints
    gaps: Ints


class GapCounts:
    """Counts gaps that end at or after `start_ps` and before `end_ps`."""

    def __init__(self, start_ps: int = 0, end_ps: int = FOREVER_PS) -> None:
        self._start_ps, self._end_ps = start_ps, end_ps
        self._rows: list[bytes] = []
        self.add = self._rows.append  # a kernel calls it with every `stretch`
        self._gaps = np.zeros(BINS, np.int64)
        # By which gaps exceed the lower edge of their bin, in all: of a large pool perhaps beyond 64 bits.
        self._excess_ps = np.zeros(BINS, np.int64)
        self._excess_carry = np.zeros(BINS, np.int64)  # times CARRY_PS

    def add_one(self, from_ps: int, to_ps: int) -> None:
        self.add(stretch(from_ps, 1, to_ps - from_ps, 0, 1))

    def tidy(self) -> None:
        """To be called now and then, so that rows do not pile up."""
        if len(self._rows) >= FLUSH_ROWS:
            self._flush()

    def bins(self) -> GapBins:
        self._flush()
        (used,) = np.nonzero(self._gaps)
        gaps, lower = self._gaps[used], _lower(used)
        excess_ps = zip(self._excess_carry[used].tolist(), self._excess_ps[used].tolist(), strict=True)
        totals_ps = (carry * CARRY_PS + rest_ps for carry, rest_ps in excess_ps)
        mean_ps = [total_ps // n for total_ps, n in zip(totals_ps, gaps.tolist(), strict=True)]
        return GapBins(lower, _lower(used + 1), lower + np.array(mean_ps, np.int64), gaps)

    def _flush(self) -> None:
        if self._rows:
            rows = np.frombuffer(b"".join(self._rows), np.int64).reshape(-1, COLUMNS)
            self._rows.clear()
            rows = self._within(rows)
            _, steps, first_ps, slope_ps, _ = rows.T
            spanned = _bin_of(first_ps + slope_ps * (steps - 1)) - _bin_of(first_ps) + 1
            one_bin, many_bins = spanned == 1, spanned > steps
            some_bins = ~(one_bin | many_bins)
            self._count_whole(rows[one_bin])
            self._count_by_bin(rows[some_bins], spanned[some_bins])
            self._count_by_step(rows[many_bins])
            self._excess_carry += self._excess_ps // CARRY_PS
            self._excess_ps %= CARRY_PS

    def _within(self, rows: Ints) -> Ints:
        """The rows without the steps that end outside; of whole rows there are few to be cut."""
        started, steps, first_ps, slope_ps, _ = rows.T
        ended = started + steps * first_ps + slope_ps * (steps * (steps - 1) // 2)
        outside = (ended < self._start_ps) | (started >= self._end_ps)
        crossing = ~outside & ((started + first_ps < self._start_ps) | (ended >= self._end_ps))
        if not (outside.any() or crossing.any()):
            return rows
        parts = self._cut(rows[crossing])
        return np.concatenate([rows[~outside & ~crossing], parts[parts[:, 1] > 0]])

    def _cut(self, rows: Ints) -> Ints:
        """A row each, of the steps that end inside, which may be none."""
        started, _, first_ps, slope_ps, gaps = rows.T
        before, until = (_steps_before(edge_ps, rows) for edge_ps in (self._start_ps, self._end_ps))
        return np.column_stack([started, until - before, first_ps + slope_ps * before, slope_ps, gaps])

    def _count_whole(self, rows: Ints) -> None:
        """Rows whose durations all fall in one bin."""
        _, steps, first_ps, slope_ps, gaps = rows.T
        bins = _bin_of(first_ps)
        grown_ps = slope_ps * (steps * (steps - 1) // 2)
        np.add.at(self._gaps, bins, gaps * steps)
        np.add.at(self._excess_ps, bins, gaps * (steps * (first_ps - _lower(bins)) + grown_ps))

    def _count_by_bin(self, rows: Ints, spanned: Ints) -> None:
        """The steps of a row from `begin` to `end` have their durations in the bin."""
        _, steps, first_ps, slope_ps, gaps = np.repeat(rows, spanned, axis=0).T
        bins = np.repeat(_bin_of(rows[:, 2]), spanned) + _counting(spanned)
        lower = _lower(bins)
        begin = np.clip(-((first_ps - lower) // slope_ps), 0, steps)
        end = np.clip(-((first_ps - _lower(bins + 1)) // slope_ps), 0, steps)
        found = end - begin
        grown_ps = slope_ps * ((end * (end - 1) - begin * (begin - 1)) // 2)
        np.add.at(self._gaps, bins, gaps * found)
        np.add.at(self._excess_ps, bins, gaps * (found * (first_ps - lower) + grown_ps))

    def _count_by_step(self, rows: Ints) -> None:
        """Rows with fewer steps than bins, of which most stay empty."""
        steps = rows[:, 1]
        _, _, first_ps, slope_ps, gaps = np.repeat(rows, steps, axis=0).T
        durations = first_ps + slope_ps * _counting(steps)
        bins = _bin_of(durations)
        np.add.at(self._gaps, bins, gaps)
        np.add.at(self._excess_ps, bins, gaps * (durations - _lower(bins)))


def _steps_before(edge_ps: int, rows: Ints) -> Ints:
    """How many steps of each row end before `edge_ps`: found by halving, as numpy's roots are not exact."""
    started, steps, first_ps, slope_ps, _ = rows.T
    least: Ints = np.zeros_like(steps)
    most: Ints = steps
    while (least < most).any():
        tried = (least + most + 1) // 2
        ended = started + tried * first_ps + slope_ps * (tried * (tried - 1) // 2)
        inside = ended < edge_ps
        least, most = np.where(inside, tried, least), np.where(inside, most, tried - 1)
    return least


def _bin_of(duration_ps: Ints) -> Ints:
    """The top ten bits of a duration, numbered through."""
    shift = np.maximum(np.frexp(duration_ps.astype(np.float64))[1] - 1 - FINE_BITS, 0).astype(np.int64)
    found: Ints = shift * FINE + (duration_ps >> shift)
    return found


def _lower(bins: Ints) -> Ints:
    shift = np.maximum(bins // FINE - 1, 0)
    found: Ints = (bins - shift * FINE) << shift
    return found


def _counting(lengths: Ints) -> Ints:
    """0, 1 .. n-1 for each n of `lengths`, one after the other."""
    ends = np.cumsum(lengths)
    found: Ints = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - lengths, lengths)
    return found
