"""The arrays of a recorded trace, whatever file they came from."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator

from traffic.units import PS_PER_S, IntArray

MAX_SPAN_PS = 2**63 - 1


class TraceError(ValueError):
    """A sentence that names the file, the line and the offending value."""


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """At least one row; times count from the first and never decrease. The arrays are read-only."""

    name: str
    arrival_ps: IntArray
    prompt_tokens: IntArray
    output_tokens: IntArray
    stamp_ps: IntArray
    """As the file has them: differs from `arrival_ps` where the rows of one stamp were spread."""
    tick_ps: int = 0
    """Of a coarse clock: rows of one stamp were spread over so long. 0: nothing was spread."""

    def __post_init__(self) -> None:
        columns = (self.arrival_ps, self.prompt_tokens, self.output_tokens, self.stamp_ps)
        assert {len(column) for column in columns} == {self.rows}, "columns of one length"
        assert self.rows, "at least one row"
        for column in columns:
            column.flags.writeable = False

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        """Rows: arrival in ps, prompt tokens, output tokens."""
        columns = (self.arrival_ps, self.prompt_tokens, self.output_tokens)
        return zip(*(column.tolist() for column in columns), strict=True)

    @property
    def rows(self) -> int:
        return len(self.arrival_ps)

    @property
    def span_ps(self) -> int:
        """From the first row to the last."""
        return int(self.arrival_ps[-1])

    def spread_at_random(self, rng: Generator) -> IntArray:
        """Other times within the ticks, still in order and none after the last row's."""
        if not self.tick_ps:
            return self.arrival_ps
        times_ps = np.sort(self.stamp_ps + rng.integers(self.tick_ps, size=self.rows))
        return np.minimum(times_ps, self.span_ps)


class TraceRows:
    """Rows on their way into a `Trace`: what every format must hold is checked here, once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at_ps: list[int] = []
        self._prompt_tokens: list[int] = []
        self._output_tokens: list[int] = []
        self._line = 0
        self._stamp = ""

    def __len__(self) -> int:
        return len(self._at_ps)

    def add(self, line: int, stamp: str, at_ps: int, prompt_tokens: int, output_tokens: int) -> None:
        """`at_ps` counts from any origin; `line` and `stamp` are what the file shows to a person."""
        times_ps = self._at_ps
        if times_ps:
            if at_ps < times_ps[-1]:
                raise TraceError(
                    f"{self._path} line {line}: {stamp} is before {self._stamp} of line {self._line}, "
                    f"but the rows of a trace must be in order of time"
                )
            if at_ps - times_ps[0] > MAX_SPAN_PS:
                days = (at_ps - times_ps[0]) // (86_400 * PS_PER_S)
                raise TraceError(
                    f"{self._path} line {line}: {stamp} is {days} days after the first row, "
                    f"but a trace can span at most 106 days"
                )
        times_ps.append(at_ps)
        self._prompt_tokens.append(prompt_tokens)
        self._output_tokens.append(output_tokens)
        self._line, self._stamp = line, stamp

    def trace(self, *, spread: bool = False) -> Trace:
        """`spread`: rows of one stamp go evenly over the clock's tick, its smallest step."""
        if not self._at_ps:
            raise TraceError(f"{self._path} holds no rows")
        origin_ps = self._at_ps[0]
        stamp_ps = np.array([at_ps - origin_ps for at_ps in self._at_ps], dtype=np.int64)
        tick_ps = _tick_ps(stamp_ps) if spread else 0
        return Trace(
            name=self._path.name,
            arrival_ps=_spread_evenly(stamp_ps, tick_ps),
            prompt_tokens=np.array(self._prompt_tokens, dtype=np.int64),
            output_tokens=np.array(self._output_tokens, dtype=np.int64),
            stamp_ps=stamp_ps,
            tick_ps=tick_ps,
        )


def _tick_ps(stamp_ps: IntArray) -> int:
    """0 where no two rows share a stamp, or all do: then the clock has shown no step."""
    steps_ps = np.diff(stamp_ps)
    if steps_ps.all() or not steps_ps.any():
        return 0
    return int(steps_ps[steps_ps > 0].min())


def _spread_evenly(stamp_ps: IntArray, tick_ps: int) -> IntArray:
    _, first, sharing = np.unique(stamp_ps, return_index=True, return_counts=True)
    place = np.arange(len(stamp_ps)) - np.repeat(first, sharing)
    return stamp_ps + place * np.repeat(tick_ps // sharing, sharing)
