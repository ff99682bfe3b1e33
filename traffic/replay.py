"""Arrivals at the recorded times of a trace, as they were or as blocks of them drawn at random."""

from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import chain, count, islice
from typing import ClassVar, Literal, NamedTuple, Self

import numpy as np
from numpy.random import Generator
from pydantic import Field, model_validator

from traffic.arrival_process import ArrivalProcess
from traffic.blocks import until
from traffic.spec import MAX_S, Spec
from traffic.traces import TraceError
from traffic.traces.file import RecordingFile, TraceFile
from traffic.traces.spread import Spread, spread_at_random, spread_evenly, spread_note
from traffic.units import BLOCK, PS_PER_S, IntArray, as_written, nearest

STARTS = 64
"""Blocks drawn at once."""


class Resample(Spec):
    """The circular block bootstrap: what happens within `block_s` stays together."""

    block_s: float = Field(
        gt=0,
        le=MAX_S,
        description="in the trace's own time; longer than its bursts, much shorter than the trace",
    )


class _Drawn(NamedTuple):
    """A block of the trace: its rows, and when they arrive."""

    rows: IntArray
    at_ps: IntArray


class TraceArrivals(ArrivalProcess, TraceFile):
    """The recorded times of a trace, its first row at time 0."""

    kind: Literal["trace"] = "trace"
    rows_are: ClassVar[str] = "rows"
    last_comes: ClassVar[str] = "The last row arrives"
    speed: float = Field(default=1.0, ge=1e-6, le=1e6, description="2 replays the trace in half its time")
    loop: bool = Field(default=False, description="start again after the last row, one mean gap later")
    spread: Spread = Field(
        default="none",
        description="rows that share a stamp. none: they arrive at one instant, as recorded; even: at equal "
        "distances until the clock's next tick; uniform: at random times of it, others in each replication. "
        "Mooncake's chat trace has a clock of 3 s",
    )
    resample: Resample | None = Field(
        default=None,
        description="each replication replays blocks of the trace drawn with replacement, without end; "
        "absent: every replication has the same times",
    )

    @model_validator(mode="after")
    def _one_way_to_go_on(self) -> Self:
        if self.loop and self.resample is not None:
            raise ValueError("loop and resample exclude each other: resampled blocks come without end")
        return self

    def blocks(self, rng: Generator, horizon_ps: int, size: int = BLOCK) -> Iterator[list[int]]:
        """Draws nothing unless `spread` or `resample` ask for it."""
        if self.resample is not None:
            drawn = chain.from_iterable(block.at_ps.tolist() for block in self._resampled(rng))
            return until(horizon_ps, self._replayed(drawn), size)
        times_ps = list(self._replayed(self._recorded_ps(rng).tolist()))
        if not self.loop:
            return until(horizon_ps, times_ps, size)
        lap_ps = self._lap_ps(self._span_ps())
        return until(horizon_ps, (lap * lap_ps + at_ps for lap in count() for at_ps in times_ps), size)

    def rows(self, rng: Generator | None, size: int) -> Iterator[IntArray]:
        if self.resample is None:
            return (numbers % self.trace.rows for numbers in super().rows(rng, size))
        assert rng is not None, "the rows follow the blocks that the arrivals drew"
        flat = chain.from_iterable(block.rows.tolist() for block in self._resampled(rng))
        return (np.fromiter(islice(flat, size), np.int64, size) for _ in count())

    def load(self) -> None:
        """Read the file; raises TraceError for a bad row, a loop over no time or a block beyond the trace."""
        last_ps = self._span_ps()
        if self.loop or self.resample is not None:
            self._lap_ps(last_ps)
        if self.resample is not None:
            self._block_ps()

    @property
    def mean_rate_per_s(self) -> float | None:
        """Gaps per second of the rows; None where all rows share one instant."""
        last_ps = self._span_ps()
        return (self.trace.rows - 1) * PS_PER_S / last_ps if last_ps else None

    def expected(self, horizon_s: float) -> float | None:
        expected = super().expected(horizon_s)
        if self.last_ps is None:
            return expected
        return self.trace.rows if expected is None else min(expected, self.trace.rows)

    @property
    def last_ps(self) -> int | None:
        return self._span_ps() if self.resample is None and not self.loop else None

    @property
    def label(self) -> str:
        """The statistics must know where every replication replays the same rows."""
        return self.kind if self.resample is None else f"resampled {self.kind}"

    @property
    def replayed(self) -> TraceFile:
        return self

    def notes(self, horizon_ps: int) -> Iterator[str]:
        """What became of the file's rows."""
        trace = self.trace
        yield from trace.notes
        if told := spread_note(trace.arrival_ps, self.spread):
            yield told
        if self.resample is not None:
            return
        if unsent := self._rows_from(horizon_ps):
            beyond = f"Beyond the horizon of {horizon_ps / PS_PER_S:g} s"
            yield f"{beyond} and so not sent: {unsent:,} of {trace.rows:,} {self.rows_are}."
        elif not self.loop and (last_ps := self._span_ps()) < horizon_ps - PS_PER_S:
            ends = f"{self.last_comes} at {last_ps / PS_PER_S:.4g} s"
            yield f"{ends}, before the horizon of {horizon_ps / PS_PER_S:g} s."

    def _rows_from(self, horizon_ps: int) -> int:
        """Rows that arrive at the horizon or later; as of an even spread where it is a random one."""
        if self.speed == 1:
            return int(np.count_nonzero(self._even_ps >= horizon_ps))
        return sum(at_ps >= horizon_ps for at_ps in self._replayed(self._even_ps.tolist()))

    def _resampled(self, rng: Generator) -> Iterator[_Drawn]:
        recorded_ps = self._recorded_ps(rng)
        lap_ps, block_ps, n = self._lap_ps(self._recorded_span_ps), self._block_ps(), self.trace.rows
        twice_ps = np.concatenate([recorded_ps, recorded_ps + lap_ps])
        starts = chain.from_iterable(rng.integers(lap_ps, size=STARTS).tolist() for _ in count())
        for block, start_ps in enumerate(starts):
            first, end = np.searchsorted(twice_ps, [start_ps, start_ps + block_ps]).tolist()
            yield _Drawn(np.arange(first, end) % n, twice_ps[first:end] + (block * block_ps - start_ps))

    def _recorded_ps(self, rng: Generator) -> IntArray:
        """Before any change of speed."""
        stamp_ps = self.trace.arrival_ps
        return spread_at_random(stamp_ps, rng) if self.spread == "uniform" else self._even_ps

    @cached_property
    def _even_ps(self) -> IntArray:
        """The recorded times, spread evenly unless they stay; a random spread ends with its last."""
        stamp_ps = self.trace.arrival_ps
        return stamp_ps if self.spread == "none" else spread_evenly(stamp_ps)

    def _replayed(self, recorded_ps: Iterable[int]) -> Iterable[int]:
        if self.speed == 1:
            return recorded_ps
        speed = as_written(self.speed)
        return (nearest(at_ps * speed.denominator, speed.numerator) for at_ps in recorded_ps)

    @property
    def _recorded_span_ps(self) -> int:
        return int(self._even_ps[-1])

    def _span_ps(self) -> int:
        return next(iter(self._replayed([self._recorded_span_ps])))

    def _lap_ps(self, last_ps: int) -> int:
        """The last row's time and one mean gap: n rows in n gaps, so that looping keeps the mean rate."""
        rows = self.trace.rows
        if last_ps == 0:
            why = f"its {rows} rows span less than a picosecond" if rows > 1 else "it has one row"
            raise TraceError(f"{self.path} cannot {'loop' if self.loop else 'be resampled'}: {why}")
        return nearest(last_ps * rows, rows - 1)

    def _block_ps(self) -> int:
        assert self.resample is not None
        block_ps, lap_ps = round(self.resample.block_s * PS_PER_S), self._lap_ps(self._recorded_span_ps)
        if not 0 < block_ps <= lap_ps:
            raise TraceError(
                f"{self.path} cannot be resampled in blocks of {self.resample.block_s:g} s: "
                f"it lasts {lap_ps / PS_PER_S:.4g} s"
            )
        return block_ps


class RecordingArrivals(RecordingFile, TraceArrivals):
    """The recorded starts of sessions, whose turns wait for the answers before them.

    `speed`, `loop`, `spread` and `resample` change when sessions start; their delays stay as recorded.
    """

    kind: Literal["recording"] = "recording"  # type: ignore[assignment]  # another line of the table
    rows_are: ClassVar[str] = "sessions"
    last_comes: ClassVar[str] = "The last session starts"

    def load(self) -> None:
        if not self.recording.started:
            raise TraceError(
                f"{self.path} does not say when its sessions start: state other arrivals, and `callers: "
                f"{{kind: recorded, path: {self.path.name}}}`"
            )
        super().load()
