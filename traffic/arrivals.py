"""When requests arrive: the steady kinds, and the table of all."""

from collections.abc import Iterator
from itertools import count
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from e80sim.choices import Later, OneOf, by_kind
from traffic.arrival_process import ArrivalProcess
from traffic.blocks import accumulated, until
from traffic.renewal import gamma_gaps
from traffic.spec import MAX_S, Cv, RatePerS
from traffic.units import BLOCK, PS_PER_S, FloatArray, as_written, nearest

__all__ = [
    "ARRIVALS",
    "ArrivalProcess",
    "Arrivals",
    "ConstantArrivals",
    "GammaArrivals",
    "PoissonArrivals",
]


class ConstantArrivals(ArrivalProcess):
    """A metronome. Arrival k is the nearest picosecond to its exact time: no drift."""

    kind: Literal["constant"] = "constant"
    is_stationary: ClassVar[bool] = True
    rate_per_s: RatePerS
    offset_s: float | None = Field(
        default=None,
        ge=0,
        le=MAX_S,
        description="time of the first arrival; default: one gap after the start",
    )

    def blocks(self, rng: np.random.Generator, horizon_ps: int, size: int = BLOCK) -> Iterator[list[int]]:
        del rng  # nothing is random here
        gap = PS_PER_S / as_written(self.rate_per_s)
        first = gap if self.offset_s is None else PS_PER_S * as_written(self.offset_s)
        unit = gap.denominator * first.denominator
        start, step = int(first * unit), int(gap * unit)
        return until(horizon_ps, (nearest(start + k * step, unit) for k in count()), size)

    @property
    def mean_rate_per_s(self) -> float:
        return self.rate_per_s


class PoissonArrivals(ArrivalProcess):
    """Independent users, many of them: exponential gaps."""

    kind: Literal["poisson"] = "poisson"
    is_stationary: ClassVar[bool] = True
    rate_per_s: RatePerS

    def blocks(self, rng: np.random.Generator, horizon_ps: int, size: int = BLOCK) -> Iterator[list[int]]:
        mean_gap_ps = PS_PER_S / self.rate_per_s

        def gaps_ps(n: int) -> FloatArray:
            return rng.exponential(mean_gap_ps, n)

        return accumulated(horizon_ps, gaps_ps, size)

    @property
    def mean_rate_per_s(self) -> float:
        return self.rate_per_s


class GammaArrivals(ArrivalProcess):
    """Bursts of independent gaps. Counts over long windows have a variance of cv**2 times their mean."""

    kind: Literal["gamma"] = "gamma"
    is_stationary: ClassVar[bool] = True
    rate_per_s: RatePerS
    cv: Cv

    def blocks(self, rng: np.random.Generator, horizon_ps: int, size: int = BLOCK) -> Iterator[list[int]]:
        return accumulated(horizon_ps, gamma_gaps(rng, PS_PER_S / self.rate_per_s, self.cv), size)

    @property
    def mean_rate_per_s(self) -> float:
        return self.rate_per_s


ARRIVALS: dict[str, type[ArrivalProcess] | Later] = {
    **by_kind(ConstantArrivals, PoissonArrivals, GammaArrivals),
    "modulated": Later("traffic.modulated", "ModulatedArrivals"),
    "profile": Later("traffic.modulated", "ProfileArrivals"),
    "trace": Later("traffic.replay", "TraceArrivals"),
    "recording": Later("traffic.replay", "RecordingArrivals"),
    "ramp": Later("traffic.ramps", "RampArrivals"),
    "steps": Later("traffic.ramps", "StepArrivals"),
}
"""By kind. A new one is a class with `blocks` and `mean_rate_per_s`, and a place here: docs/extending.md."""
Arrivals = Annotated[ArrivalProcess, OneOf(ARRIVALS)]
