"""When the requests of one source come, and how long their prompts and answers are."""

from collections.abc import Iterator
from functools import cached_property
from itertools import chain, count
from typing import TYPE_CHECKING, Annotated, Any, Self

import numpy as np
from pydantic import Field, model_validator

from e80sim.choices import Later
from traffic.arrivals import Arrivals
from traffic.sizes import Lengths, SizeSource
from traffic.spec import Spec
from traffic.traces.file import TraceFile
from traffic.units import BLOCK, IntArray

if TYPE_CHECKING:
    from traffic.prefixes import Beginning, Prefixes
else:
    Prefixes = Annotated[Any, Later("traffic.prefixes", "Prefixes")]

SizePair = tuple[int, int]
"""(prompt tokens, output tokens) of one model request."""
FEWEST_ARRIVALS = 64
"""Sizes are drawn for so many at a time, even of a thousand calls each."""


class Workload(Spec):
    arrivals: Arrivals
    lengths: Lengths
    prefix: Prefixes | None = Field(
        default=None, description="how prompts begin alike; absent: they have nothing in common"
    )

    @property
    def replayed(self) -> TraceFile | None:
        """The recorded traffic whose rows come, if it is such."""
        return self.arrivals.replayed

    @model_validator(mode="after")
    def _a_trace_has_a_path(self) -> Self:
        if self.lengths.follows_arrivals and self.replayed is None:
            raise ValueError(
                f"lengths of kind 'trace' need a path, because the arrivals are {self.arrivals.kind!r} "
                f"and replay no trace"
            )
        return self

    @model_validator(mode="after")
    def _prefixes_follow_what_lengths_follow(self) -> Self:
        if self.prefix is None or not self.prefix.follows_arrivals:
            return self
        if self.replayed is None:
            raise ValueError(
                f"prefix of kind 'trace' needs a trace to follow, and the arrivals are {self.arrivals.kind!r}"
            )
        if not self.lengths.follows_arrivals:
            raise ValueError("prefix of kind 'trace' needs lengths of kind 'trace': those of the same rows")
        return self

    def load(self) -> None:
        """Read the trace files, so that a malformed row is told before a run starts (TraceError)."""
        self.arrivals.load()
        _ = self.size_source
        if self.prefix is not None and self.prefix.follows_arrivals:
            self.beginnings("", np.random.default_rng(0))

    def notes(self, horizon_ps: int) -> Iterator[str]:
        """What was done to the rows of its trace files, and what a run so long does to them."""
        replayed, arrivals_are = self.replayed, self.arrivals.replayed
        if told := " ".join(self.arrivals.notes(horizon_ps)):
            of = "the arrivals" if arrivals_are is None else f"the trace {arrivals_are.path.name}"
            yield f"{of}: {told}"
        if replayed is not None and replayed is not arrivals_are:
            yield f"the recording {replayed.path.name}: {' '.join(replayed.trace.notes)}"
        yield from self.size_source.notes

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
        blocks = self._rows_of_arrivals(arrivals_per_block, arrivals_rng)
        by_call = ([self._pairs(rows, *of_call) for of_call in generators] for rows in blocks)
        return chain.from_iterable(map(list, zip(*pairs, strict=True)) for pairs in by_call)

    def pairs(
        self, prompt_rng: np.random.Generator, output_rng: np.random.Generator, at_once: int = BLOCK
    ) -> Iterator[SizePair]:
        """Sizes one after the other, without end, for who asks any number of times."""
        for first in count(0, at_once):
            yield from self._pairs(np.arange(first, first + at_once), prompt_rng, output_rng)

    def first_sizes(
        self, number: int, prompt_rng: np.random.Generator, output_rng: np.random.Generator
    ) -> tuple[IntArray, IntArray]:
        """Of the first so many of `pairs`: their prompts, and their outputs."""
        blocks = [
            self.size_source.sizes(np.arange(first, first + BLOCK), prompt_rng, output_rng)
            for first in range(0, number, BLOCK)
        ]
        prompts = np.concatenate([block.prompt_tokens for block in blocks], dtype=np.int64)
        outputs = np.concatenate([block.output_tokens for block in blocks], dtype=np.int64)
        return prompts[:number], outputs[:number]

    def beginnings(
        self,
        source: str,
        rng: np.random.Generator,
        arrivals_rng: np.random.Generator | None = None,
    ) -> "Iterator[Beginning]":
        """For arrival 0, 1, 2 ... without end: how its prompts begin. `arrivals_rng` as for `call_sizes`."""
        assert self.prefix is not None, "asked only where prompts begin alike"
        trace = self.size_source.trace if self.prefix.follows_arrivals else None
        return self.prefix.beginnings(source, rng, trace, self._rows_of_arrivals(BLOCK, arrivals_rng))

    def rows(self, arrivals_rng: np.random.Generator | None = None) -> Iterator[int]:
        """For arrival 0, 1, 2 ... without end: the row that it replays, round and round."""
        assert self.replayed is not None, "asked only where rows are replayed"
        count_of_rows = self.replayed.trace.rows
        blocks = self._rows_of_arrivals(BLOCK, arrivals_rng)
        return (row % count_of_rows for block in blocks for row in block.tolist())

    def _pairs(
        self, rows: IntArray, prompt_rng: np.random.Generator, output_rng: np.random.Generator
    ) -> Iterator[SizePair]:
        sizes = self.size_source.sizes(rows, prompt_rng, output_rng)
        return zip(sizes.prompt_tokens.tolist(), sizes.output_tokens.tolist(), strict=True)

    def _rows_of_arrivals(self, size: int, arrivals_rng: np.random.Generator | None) -> Iterator[IntArray]:
        """The number that stands for each arrival, `size` at a time: of its row, or simply its own."""
        replayed = self.replayed
        if replayed is not None and self.size_source.trace is replayed.trace:
            return self.arrivals.rows(arrivals_rng, size)
        return (np.arange(first, first + size) for first in count(0, size))

    @cached_property
    def size_source(self) -> SizeSource:
        """Reads a trace on first use (TraceError)."""
        return self.lengths.source(self.replayed)


def _for_each_call(rng: np.random.Generator, calls: int) -> list[np.random.Generator]:
    """Child k of a generator is the same however many there are; a lone call draws from the parent itself."""
    return [rng, *rng.spawn(calls - 1)]
