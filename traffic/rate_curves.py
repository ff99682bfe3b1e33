"""How a rate changes with time. A curve is made of pieces of constant rate, one after the other for ever.

Each piece has a length in time and one in operational time, the time of a source that always sends at the
curve's peak rate. The second is never the longer one, so both fit an integer whatever the rates.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import chain, pairwise, repeat
from typing import Annotated, Literal, NamedTuple, Self

import numpy as np
from numpy.random import Generator
from pydantic import Field, model_validator

from e80sim.choices import OneOf, by_kind
from traffic.spec import MAX_RATE_PER_S, MAX_S, MIN_S, RatePerS, Spec
from traffic.units import PS_PER_S, FloatArray, IntArray, as_written, nearest

PIECES = 512
"""Made at once, where they are short."""
STRETCH_PS = 10**18
"""Pieces made at once are not much longer in all, so that their ends fit an integer."""
DIURNAL_STEPS = 1440
"""A minute of a day each. A step differs from the sinusoid by 0.22 % of the mean rate at most."""

RateOrZero = Annotated[float, Field(ge=0, le=MAX_RATE_PER_S, description="requests per second; 0 is silence")]


class Pieces(NamedTuple):
    """Lengths of consecutive pieces."""

    time_ps: IntArray
    operational_ps: IntArray


class RateCurve(Spec, ABC):
    kind: str

    @abstractmethod
    def pieces(self, rng: Generator) -> Iterator[Pieces]:
        """Without end, from time 0."""

    @property
    @abstractmethod
    def peak_rate_per_s(self) -> float: ...
    @property
    @abstractmethod
    def mean_rate_per_s(self) -> float:
        """In the long run."""


class OnOffCurve(RateCurve):
    """Two rates by turns, each for an exponential time; in which of the two a run starts is drawn too."""

    kind: Literal["on_off"] = "on_off"
    on_s: float = Field(ge=MIN_S, le=86_400, description="mean time at the first rate")
    off_s: float = Field(ge=MIN_S, le=86_400, description="mean time at the second")
    on_rate_per_s: RatePerS
    off_rate_per_s: RateOrZero = 0.0

    def pieces(self, rng: Generator) -> Iterator[Pieces]:
        n = int(max(2, min(PIECES, STRETCH_PS // (PS_PER_S * max(self.on_s, self.off_s)))))
        starts_on = rng.random() * (self.on_s + self.off_s) < self.on_s
        by_turns = [(self.on_s, self.on_rate_per_s), (self.off_s, self.off_rate_per_s)]
        means_s, rates = np.array(by_turns if starts_on else by_turns[::-1]).T
        turn = np.arange(n - n % 2) % 2
        while True:
            time_ps = np.rint(rng.standard_exponential(len(turn)) * means_s[turn] * PS_PER_S)
            yield constant_pieces(time_ps.astype(np.int64), rates[turn], self.peak_rate_per_s)

    @property
    def peak_rate_per_s(self) -> float:
        return max(self.on_rate_per_s, self.off_rate_per_s)

    @property
    def mean_rate_per_s(self) -> float:
        requests = self.on_s * self.on_rate_per_s + self.off_s * self.off_rate_per_s
        return requests / (self.on_s + self.off_s)


class RateSegment(Spec):
    until_s: float = Field(ge=MIN_S, le=MAX_S, description="its end, counted from the start of the curve")
    rate_per_s: RateOrZero


class PiecewiseCurve(RateCurve):
    """Stated rates until stated times."""

    kind: Literal["piecewise"] = "piecewise"
    segments: tuple[RateSegment, ...] = Field(strict=False, min_length=1)
    repeat: bool = Field(
        default=False, description="start again after the last segment; else its rate holds for ever"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        ends_s = [segment.until_s for segment in self.segments]
        for before, after in pairwise(ends_s):
            if after <= before:
                raise ValueError(f"until_s {after:g} follows {before:g}: segments end one after the other")
        if self.peak_rate_per_s == 0:
            raise ValueError("every rate_per_s of the segments is 0: nothing would ever arrive")
        return self

    def pieces(self, rng: Generator) -> Iterator[Pieces]:
        del rng  # nothing is random here
        ends_ps = [_ps(segment.until_s) for segment in self.segments]
        time_ps = np.diff(np.array([0, *ends_ps]))
        once = constant_pieces(time_ps, self._rates, self.peak_rate_per_s)
        if self.repeat:
            return round_and_round(once)
        hours_ps = np.full(64, 3600 * PS_PER_S)
        last = constant_pieces(hours_ps, np.full(64, self._rates[-1]), self.peak_rate_per_s)
        return chain([once], repeat(last))

    @property
    def _rates(self) -> FloatArray:
        return np.array([segment.rate_per_s for segment in self.segments])

    @property
    def peak_rate_per_s(self) -> float:
        return float(self._rates.max())

    @property
    def mean_rate_per_s(self) -> float:
        rates = self._rates
        if not self.repeat:
            return float(rates[-1])
        ends_s = np.array([0.0, *(segment.until_s for segment in self.segments)])
        return float(np.diff(ends_s) @ rates / ends_s[-1])


class WindowsCurve(RateCurve):
    """A mean rate times a factor per window of equal length, round and round."""

    kind: Literal["windows"] = "windows"
    rate_per_s: RatePerS
    window_s: float = Field(ge=MIN_S, le=MAX_S)
    factors: tuple[Annotated[float, Field(ge=0, le=1e9)], ...] = Field(
        strict=False,
        min_length=1,
        description="one per window, relative to each other: they are scaled to a mean of 1",
    )
    start: Literal["first", "random"] = Field(
        default="first", description="random: each replication starts in another window"
    )

    @model_validator(mode="after")
    def _not_silent(self) -> Self:
        if max(self.factors) == 0:
            raise ValueError("every one of the factors is 0: nothing would ever arrive")
        if self.window_s * len(self.factors) > MAX_S:
            raise ValueError(
                f"{len(self.factors)} windows of {self.window_s:g} s last longer than any run, {MAX_S} s"
            )
        return self

    def pieces(self, rng: Generator) -> Iterator[Pieces]:
        factors = np.array(self.factors)
        if self.start == "random":
            factors = np.roll(factors, -int(rng.integers(len(factors))))
        ends_ps = [_ps(self.window_s, k) for k in range(len(factors) + 1)]
        return round_and_round(constant_pieces(np.diff(np.array(ends_ps)), factors, factors.max()))

    @property
    def peak_rate_per_s(self) -> float:
        return self.rate_per_s * max(self.factors) * len(self.factors) / sum(self.factors)

    @property
    def mean_rate_per_s(self) -> float:
        return self.rate_per_s


class DiurnalCurve(RateCurve):
    """A sinusoid in 1,440 steps per period, each of the sinusoid's own mean."""

    kind: Literal["diurnal"] = "diurnal"
    rate_per_s: RatePerS
    amplitude: float = Field(ge=0, le=1, description="0.35: between 65 % and 135 % of the mean rate")
    period_s: float = Field(default=86_400.0, ge=1, le=MAX_S)
    peak_at_s: float | None = Field(
        default=None, ge=0, le=MAX_S, description="a time of highest rate; absent: a quarter of the period"
    )

    def pieces(self, rng: Generator) -> Iterator[Pieces]:
        del rng  # nothing is random here
        ends_ps = [_ps(self.period_s, k, DIURNAL_STEPS) for k in range(DIURNAL_STEPS + 1)]
        factors = self._factors
        return round_and_round(constant_pieces(np.diff(np.array(ends_ps)), factors, factors.max()))

    @property
    def _factors(self) -> FloatArray:
        """Means of 1 + amplitude * cos(x) over each step, x = 0 at the peak."""
        peak_at_s = self.period_s / 4 if self.peak_at_s is None else self.peak_at_s
        turns = np.arange(DIURNAL_STEPS + 1) / DIURNAL_STEPS - peak_at_s / self.period_s
        sines = np.sin(2 * np.pi * turns)
        factors: FloatArray = 1 + self.amplitude * np.diff(sines) * DIURNAL_STEPS / (2 * np.pi)
        return factors

    @property
    def peak_rate_per_s(self) -> float:
        return self.rate_per_s * float(self._factors.max())

    @property
    def mean_rate_per_s(self) -> float:
        return self.rate_per_s


CURVES: dict[str, type[RateCurve]] = by_kind(OnOffCurve, PiecewiseCurve, WindowsCurve, DiurnalCurve)
"""By kind. A new one is a class with `pieces` and its two rates, and a place here."""
Curve = Annotated[RateCurve, OneOf(CURVES)]


def constant_pieces(time_ps: IntArray, rates: FloatArray, peak: float) -> Pieces:
    """`rates` and their `peak` in any unit."""
    return Pieces(time_ps, np.rint(time_ps * (rates / peak)).astype(np.int64))


def round_and_round(lap: Pieces) -> Iterator[Pieces]:
    """Several short laps at once: a block of pieces costs as much as a piece."""
    lap_ps = int(lap.time_ps.sum())
    laps = max(1, min(PIECES // len(lap.time_ps), STRETCH_PS // lap_ps))
    return repeat(Pieces(np.tile(lap.time_ps, laps), np.tile(lap.operational_ps, laps)))


def _ps(seconds: float, times: int = 1, parts: int = 1) -> int:
    exact = as_written(seconds) * times * PS_PER_S / parts
    return nearest(exact.numerator, exact.denominator)
