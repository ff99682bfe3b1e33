"""When the requests of one source come, and how long their prompts and answers are."""

from collections.abc import Iterator
from functools import cached_property
from itertools import count
from typing import Self

import numpy as np
from pydantic import model_validator

from traffic.arrivals import Arrivals, TraceArrivals
from traffic.sizes import Lengths, RowSizes, SizeSource, TraceLengths
from traffic.spec import Spec
from traffic.traces import read_trace
from traffic.units import BLOCK, IntArray

SizePair = tuple[int, int]
"""(prompt tokens, output tokens) of one model request."""
FEWEST_ARRIVALS = 64
"""Sizes are drawn for so many at a time, even of a thousand calls each."""


class Workload(Spec):
    arrivals: Arrivals
    lengths: Lengths

    @model_validator(mode="after")
    def _a_trace_has_a_path(self) -> Self:
        lengths = self.lengths
        if isinstance(lengths, TraceLengths) and lengths.path is None and self.arrivals.kind != "trace":
            raise ValueError(
                f"lengths of kind 'trace' need a path, because the arrivals are {self.arrivals.kind!r} "
                f"and replay no trace"
            )
        return self

    def load(self) -> None:
        """Read the trace files, so that a malformed row is told before a run starts (TraceError)."""
        if isinstance(self.arrivals, TraceArrivals):
            self.arrivals.load()
        _ = self.size_source

    def notes(self, horizon_ps: int) -> Iterator[str]:
        """What was done to the rows of its trace files, and what a run so long does to them."""
        if isinstance(self.arrivals, TraceArrivals):
            told = " ".join(self.arrivals.notes(horizon_ps))
            yield f"the trace {self.arrivals.path.name}: {told}"
        lengths, source = self.lengths, self.size_source
        if isinstance(lengths, TraceLengths) and isinstance(source, RowSizes) and lengths.path is not None:
            told = " ".join(source.trace.notes)
            yield f"lengths from the trace {lengths.path.name}: {told}"

    def call_sizes(
        self,
        prompt_rng: np.random.Generator,
        output_rng: np.random.Generator,
        calls: int = 1,
        arrivals_rng: np.random.Generator | None = None,
    ) -> Iterator[list[SizePair]]:
        """For arrival 0, 1, 2 ... without end: the sizes of its `calls` model requests.

        Call k of arrival i has the same sizes whatever `calls` is and whenever the calls are made, for each k
        has generators of its own. Rows in order stay with their arrival: all its calls have the lengths of
        its row. To follow a resampled trace takes `arrivals_rng`, a generator in the state of the one that
        the arrivals were made with.
        """
        generators = list(
            zip(_for_each_call(prompt_rng, calls), _for_each_call(output_rng, calls), strict=True)
        )
        arrivals_per_block = max(FEWEST_ARRIVALS, BLOCK // calls)
        for rows in self._rows_of_arrivals(arrivals_per_block, arrivals_rng):
            by_call = [self._pairs(rows, *of_call) for of_call in generators]
            yield from map(list, zip(*by_call, strict=True))

    def _pairs(
        self, rows: IntArray, prompt_rng: np.random.Generator, output_rng: np.random.Generator
    ) -> Iterator[SizePair]:
        sizes = self.size_source.sizes(rows, prompt_rng, output_rng)
        return zip(sizes.prompt_tokens.tolist(), sizes.output_tokens.tolist(), strict=True)

    def _rows_of_arrivals(self, size: int, arrivals_rng: np.random.Generator | None) -> Iterator[IntArray]:
        """The number that stands for each arrival, `size` at a time: of its row, or simply its own."""
        arrivals, source = self.arrivals, self.size_source
        if (
            isinstance(arrivals, TraceArrivals)
            and arrivals.resample is not None
            and isinstance(source, RowSizes)
            and source.trace is arrivals.trace
        ):
            assert arrivals_rng is not None, "rows in order follow the blocks that the arrivals drew"
            return arrivals.rows(arrivals_rng, size)
        return (np.arange(first, first + size) for first in count(0, size))

    @cached_property
    def size_source(self) -> SizeSource:
        """Reads a trace on first use (TraceError)."""
        lengths, arrivals = self.lengths, self.arrivals
        if not isinstance(lengths, TraceLengths):
            return lengths
        if isinstance(arrivals, TraceArrivals) and _same_rows(lengths, arrivals):
            return RowSizes(arrivals.trace, lengths.draw or "in_order")
        assert lengths.path is not None, "validated"
        return RowSizes(
            read_trace(lengths.path, lengths.format, lengths.limit_rows), lengths.draw or "together"
        )


def _same_rows(lengths: TraceLengths, arrivals: TraceArrivals) -> bool:
    return lengths.path in (None, arrivals.path) and lengths.limit_rows in (None, arrivals.limit_rows)


def _for_each_call(rng: np.random.Generator, calls: int) -> list[np.random.Generator]:
    """Child k of a generator is the same however many there are; a lone call draws from the parent itself."""
    return [rng, *rng.spawn(calls - 1)]
