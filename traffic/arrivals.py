"""When requests arrive. Every kind makes times block by block, so a run holds one pending arrival per source.

A block is a list of whole picoseconds; times never decrease, and all lie in [0, horizon): an arrival at the
horizon itself belongs to the time after. The times are the same whatever the block size.
"""

from collections.abc import Iterator
from itertools import count
from typing import Annotated, Literal, Protocol

import numpy as np
from pydantic import Field

from traffic.blocks import accumulated, until
from traffic.spec import Spec
from traffic.traces import TraceError
from traffic.traces.file import TraceFile
from traffic.units import BLOCK, PS_PER_S, FloatArray, as_written, nearest

RatePerS = Annotated[
    float, Field(gt=0, le=1e9, description="requests per second; above 1e9 the picosecond grid would show")
]


class ArrivalProcess(Protocol):
    def blocks(self, rng: np.random.Generator, horizon_ps: int, size: int = BLOCK) -> Iterator[list[int]]:
        """Arrival times before `horizon_ps`, at most `size` at a time and never an empty block."""
        ...

    @property
    def mean_rate_per_s(self) -> float | None:
        """In the long run; None where no rate can be told."""
        ...


class ConstantArrivals(Spec):
    """A metronome. Arrival k is the nearest picosecond to its exact time: no drift."""

    kind: Literal["constant"] = "constant"
    rate_per_s: RatePerS
    offset_s: float | None = Field(
        default=None, ge=0, description="time of the first arrival; default: one gap after the start"
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


class PoissonArrivals(Spec):
    """Independent users, many of them: exponential gaps."""

    kind: Literal["poisson"] = "poisson"
    rate_per_s: RatePerS

    def blocks(self, rng: np.random.Generator, horizon_ps: int, size: int = BLOCK) -> Iterator[list[int]]:
        mean_gap_ps = PS_PER_S / self.rate_per_s

        def gaps_ps(n: int) -> FloatArray:
            return rng.exponential(mean_gap_ps, n)

        return accumulated(horizon_ps, gaps_ps, size)

    @property
    def mean_rate_per_s(self) -> float:
        return self.rate_per_s


class TraceArrivals(TraceFile):
    """The recorded times of a trace, its first row at time 0."""

    kind: Literal["trace"] = "trace"
    speed: float = Field(default=1.0, gt=0, description="2 replays the trace in half its time")
    loop: bool = Field(default=False, description="start again after the last row, one mean gap later")

    def blocks(self, rng: np.random.Generator, horizon_ps: int, size: int = BLOCK) -> Iterator[list[int]]:
        del rng  # the same times in every replication
        times_ps = self._replayed(self.trace.arrival_ps.tolist())
        if not self.loop:
            return until(horizon_ps, times_ps, size)
        lap_ps = self._lap_ps()
        return until(horizon_ps, (lap * lap_ps + at_ps for lap in count() for at_ps in times_ps), size)

    def load(self) -> None:
        """Read the file; raises TraceError for a bad row, or for a loop over no time."""
        self._lap_ps() if self.loop else self._span_ps()

    @property
    def mean_rate_per_s(self) -> float | None:
        """Gaps per second of the rows; None where all rows share one instant."""
        last_ps = self._span_ps()
        return (self.trace.rows - 1) * PS_PER_S / last_ps if last_ps else None

    @property
    def last_ps(self) -> int | None:
        """The last arrival, None when it loops for ever."""
        return None if self.loop else self._span_ps()

    def _replayed(self, recorded_ps: list[int]) -> list[int]:
        if self.speed == 1:
            return recorded_ps
        speed = as_written(self.speed)
        return [nearest(at_ps * speed.denominator, speed.numerator) for at_ps in recorded_ps]

    def _span_ps(self) -> int:
        return self._replayed([self.trace.span_ps])[0]

    def _lap_ps(self) -> int:
        """The last row's time and one mean gap: n rows in n gaps, so that looping keeps the mean rate."""
        rows, last_ps = self.trace.rows, self._span_ps()
        if last_ps == 0:
            why = f"its {rows} rows span less than a picosecond" if rows > 1 else "it has one row"
            raise TraceError(f"{self.path} cannot loop: {why}")
        return nearest(last_ps * rows, rows - 1)


Arrivals = Annotated[ConstantArrivals | PoissonArrivals | TraceArrivals, Field(discriminator="kind")]
"""A new kind is a class above with `blocks` and `mean_rate_per_s`, and a place in this union."""
