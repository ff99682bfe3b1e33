"""Arrivals whose rate changes.

The index of dispersion of real traffic grows with the window; a renewal process alone settles at the square
of its gaps' coefficient of variation.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.random import Generator
from pydantic import Field

from traffic.arrival_process import ArrivalProcess
from traffic.blocks import sums
from traffic.profiles import ProfileName, load_profile
from traffic.rate_curves import Curve, Pieces, WindowsCurve
from traffic.renewal import gamma_gaps
from traffic.spec import Cv, RatePerS
from traffic.units import BLOCK, PS_PER_S, IntArray


class ModulatedArrivals(ArrivalProcess):
    """A renewal process in operational time, read on a clock that runs as fast as the rate of the moment.

    Gaps and rates come from generators of their own: variants that change a rate keep the same gaps, scaled.
    """

    kind: Literal["modulated"] = "modulated"
    rate: Curve
    cv: Cv = 1.0

    def blocks(self, rng: Generator, horizon_ps: int, size: int = BLOCK) -> Iterator[list[int]]:
        gap_rng, rate_rng = rng.spawn(2)
        gaps_ps = gamma_gaps(gap_rng, PS_PER_S / self.rate.peak_rate_per_s, self.cv)
        # Operational time never runs ahead of time, so what lies beyond the horizon in it is beyond for good.
        return _read(sums(horizon_ps, gaps_ps, size), RateClock(self.rate.pieces(rate_rng)), horizon_ps)

    @property
    def mean_rate_per_s(self) -> float:
        return self.rate.mean_rate_per_s


class ProfileArrivals(ArrivalProcess):
    """Like a recorded trace.

    The rate follows the trace's windows, round and round from one drawn at random; the gaps within a window
    have the coefficient of variation that they have there.
    """

    kind: Literal["profile"] = "profile"
    name: ProfileName
    rate_per_s: RatePerS | None = Field(default=None, description="mean rate; absent: that of the trace")

    def blocks(self, rng: Generator, horizon_ps: int, size: int = BLOCK) -> Iterator[list[int]]:
        return self.modulated.blocks(rng, horizon_ps, size)

    @property
    def modulated(self) -> ModulatedArrivals:
        figures = load_profile(self.name).arrivals
        windows = figures.windows
        curve = WindowsCurve(
            rate_per_s=self.mean_rate_per_s,
            window_s=windows.window_s,
            factors=windows.factors,
            start="random",
        )
        return ModulatedArrivals(rate=curve, cv=figures.cv.value)

    @property
    def mean_rate_per_s(self) -> float:
        return self.rate_per_s or load_profile(self.name).arrivals.rate_per_s.value


class RateClock:
    """Turns operational times, asked for in order, into times."""

    def __init__(self, pieces: Iterator[Pieces]) -> None:
        self._pieces = pieces
        # The ends of the pieces that matter still, and the start of the first.
        self._time_ps = self._operational_ps = np.zeros(1, dtype=np.int64)

    def read(self, operational_ps: IntArray, horizon_ps: int) -> IntArray:
        """Times of those that lie before the horizon, and maybe of a few behind it."""
        self._extend(int(operational_ps[-1]), horizon_ps)
        ends_ps, time_ps = self._operational_ps, self._time_ps
        known_ps: IntArray = operational_ps[operational_ps < ends_ps[-1]]
        if not len(known_ps):
            return known_ps
        # To the right of equals: where the rate is zero, operational time stands still.
        piece = np.searchsorted(ends_ps, known_ps, side="right") - 1
        share = (known_ps - ends_ps[piece]) / (ends_ps[piece + 1] - ends_ps[piece])
        into_ps = np.rint(share * (time_ps[piece + 1] - time_ps[piece])).astype(np.int64)
        found_ps: IntArray = time_ps[piece] + into_ps
        self._forget(int(piece[-1]))
        return found_ps

    def _extend(self, operational_ps: int, horizon_ps: int) -> None:
        times, operational = [self._time_ps], [self._operational_ps]
        while operational[-1][-1] <= operational_ps and times[-1][-1] < horizon_ps:
            pieces = next(self._pieces)
            times.append(times[-1][-1] + np.cumsum(pieces.time_ps))
            operational.append(operational[-1][-1] + np.cumsum(pieces.operational_ps))
        if len(times) > 1:
            self._time_ps, self._operational_ps = np.concatenate(times), np.concatenate(operational)

    def _forget(self, pieces: int) -> None:
        self._time_ps, self._operational_ps = self._time_ps[pieces:], self._operational_ps[pieces:]


def _read(operational: Iterator[IntArray], clock: RateClock, horizon_ps: int) -> Iterator[list[int]]:
    for block in operational:
        times_ps = clock.read(block, horizon_ps)
        times_ps = times_ps[times_ps < horizon_ps]
        if len(times_ps):
            yield times_ps.tolist()
        if len(times_ps) < len(block):
            return
