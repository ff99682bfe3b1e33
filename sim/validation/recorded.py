"""Requests that a real server answered, with what was measured of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from e80sim.measured import AUTO, MeasuredError, MeasuredRequest, MeasuredRequests, columns, read_measured
from e80sim.measured.files import read_file
from sim.time.units import PS_PER_MS

FloatArray = NDArray[np.float64]

METRICS = ("ttft", "tpot", "e2e")
MS_PER_S = 1e3


@dataclass(frozen=True, slots=True, eq=False)
class RecordedRequests:
    """In order of arrival; times count from the first one."""

    name: str
    arrival_ps: tuple[int, ...]
    prompt_tokens: tuple[int, ...]
    output_tokens: tuple[int, ...]
    measured_ms: Mapping[str, FloatArray]
    """By metric; not a number where a request has none."""
    cached_tokens: tuple[int, ...] = ()
    """Of each prompt, found in the server's prefix cache; empty where the file does not say."""
    notes: tuple[str, ...] = ()
    """What was done to the rows on their way here, in sentences."""

    def __len__(self) -> int:
        return len(self.arrival_ps)

    @property
    def longest_tokens(self) -> int:
        return max(p + o for p, o in zip(self.prompt_tokens, self.output_tokens, strict=True))


def read_recorded(
    path: Path,
    format: str = AUTO,  # noqa: A002 -- the word of the option
    *,
    arrivals: bool = True,
) -> RecordedRequests:
    """Of a file in any format of `e80sim.measured`; MeasuredError for one that cannot be used.

    Without `arrivals` a file of our own columns may leave them out: all requests are there from the start.
    """
    if not arrivals and format in {AUTO, "columns"}:
        file = read_file(path)
        if columns.tells_sizes(file):
            return recorded_of(columns.read(file, arrivals=False))
    return recorded_of(read_measured(path, format))


def recorded_of(measured: MeasuredRequests) -> RecordedRequests:
    """Requests that were answered, and whose sizes the file tells; a note says how many were not."""
    rows = [row for row in measured.answered if row.input_tokens and row.output_tokens]
    left_out = len(measured.rows) - len(rows)
    if not rows:
        raise MeasuredError(f"{measured.name} holds no requests that were answered")
    notes = [*measured.notes]
    if left_out:
        notes.append(f"{left_out:,} requests without an answer, or without sizes, are not replayed.")
    return RecordedRequests(
        measured.name,
        tuple(round((row.arrival_s - rows[0].arrival_s) * MS_PER_S * PS_PER_MS) for row in rows),
        tuple(row.input_tokens for row in rows),
        tuple(row.output_tokens for row in rows),
        {metric: times_ms(rows, metric) for metric in METRICS},
        _cached(rows),
        tuple(notes),
    )


def _cached(rows: list[MeasuredRequest]) -> tuple[int, ...]:
    """The last token of a prompt is always computed, also where a tool counts it as cached."""
    if all(row.cached_tokens is None for row in rows):
        return ()
    return tuple(min(row.cached_tokens or 0, row.input_tokens - 1) for row in rows)


def times_ms(rows: Sequence[MeasuredRequest], metric: str) -> FloatArray:
    """Not a number where there is none, or none to compare with: a share of 0 ms means nothing."""
    found = [getattr(row, f"{metric}_ms") for row in rows]
    return np.array([value or nan for value in found], dtype=np.float64)
