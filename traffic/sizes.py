"""Prompt and answer lengths of requests: drawn apart, or taken from the rows of a trace."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, Protocol, Self

import numpy as np
from pydantic import Field, model_validator

from e80sim.choices import OneOf, by_kind
from traffic.lengths import Length
from traffic.profiles import ProfileName, load_profile
from traffic.spec import DataPath, Spec
from traffic.traces.file import FormatName, LimitRows, TraceFile
from traffic.traces.words import AUTO
from traffic.units import IntArray

if TYPE_CHECKING:
    from traffic.traces.trace import Trace

Draw = Literal["in_order", "together", "independently"]
DRAW_BESIDE_ARRIVALS: Draw = "in_order"
DRAW_ALONE: Draw = "together"


class Sizes(NamedTuple):
    """Of several requests, in their order."""

    prompt_tokens: IntArray
    output_tokens: IntArray


class SizeSource(Protocol):
    def sizes(
        self, requests: IntArray, prompt_rng: np.random.Generator, output_rng: np.random.Generator
    ) -> Sizes:
        """Sizes for these numbers of arrivals; one asked for twice gets two draws, or the same trace row."""
        ...

    @property
    def trace(self) -> "Trace | None":
        """Whose rows the sizes are, if they are."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the rows, in sentences."""
        ...


class RequestLengths(Spec, ABC):
    """Both lengths of a request, as a scenario says it."""

    @abstractmethod
    def source(self, replayed: TraceFile | None) -> SizeSource:
        """`replayed` is the trace that the arrivals replay, if they do. May read a trace (TraceError)."""

    @property
    def least_tokens(self) -> int:
        """Prompt and output of the smallest request; 0 where that is told row by row, and recorded so."""
        return 0

    @property
    def least_prompt_tokens(self) -> int:
        """Of the smallest request, as far as that is known."""
        return 1

    @property
    def follows_arrivals(self) -> bool:
        """The lengths are those of the rows that the arrivals replay."""
        return False

    def apart_from(self, replayed: TraceFile | None) -> Self:
        """The same lengths for who does not have the arrivals beside them."""
        del replayed
        return self


class DrawnLengths(RequestLengths):
    """Lengths that are drawn: a size source themselves."""

    @abstractmethod
    def sizes(
        self, requests: IntArray, prompt_rng: np.random.Generator, output_rng: np.random.Generator
    ) -> Sizes: ...

    def source(self, replayed: TraceFile | None) -> SizeSource:
        del replayed
        return self

    @property
    def trace(self) -> None:
        return None

    @property
    def notes(self) -> tuple[str, ...]:
        return ()


class PromptAndOutput(DrawnLengths):
    """Two independent distributions: the logarithms correlate by -0.004 and 0.088 in Azure's two traces."""

    prompt: Length
    output: Length

    def sizes(
        self, requests: IntArray, prompt_rng: np.random.Generator, output_rng: np.random.Generator
    ) -> Sizes:
        n = len(requests)
        return Sizes(self.prompt.sample(prompt_rng, n), self.output.sample(output_rng, n))

    @property
    def least_tokens(self) -> int:
        return self.prompt.least_tokens + self.output.least_tokens

    @property
    def least_prompt_tokens(self) -> int:
        return self.prompt.least_tokens


class ProfileLengths(DrawnLengths):
    """Both lengths of a recorded service, independent of each other like those of Azure's traces."""

    kind: Literal["profile"] = "profile"
    name: ProfileName

    def sizes(
        self, requests: IntArray, prompt_rng: np.random.Generator, output_rng: np.random.Generator
    ) -> Sizes:
        profile, n = load_profile(self.name), len(requests)
        return Sizes(profile.prompt_tokens.sample(prompt_rng, n), profile.output_tokens.sample(output_rng, n))


class TraceLengths(RequestLengths):
    """The lengths of a trace's rows."""

    kind: Literal["trace"] = "trace"
    path: DataPath | None = Field(
        default=None, description="the recorded trace; default: the one that the arrivals replay"
    )
    format: FormatName = AUTO
    limit_rows: LimitRows | None = None
    draw: Draw | None = Field(
        default=None,
        description="in_order: row i for arrival i, round and round; together: a random row for each "
        "request; independently: one random row for its prompt and another for its output. "
        "Default: in_order from the trace that the arrivals replay, together from another",
    )

    @model_validator(mode="after")
    def _file_options_belong_to_a_file(self) -> Self:
        if self.path is None and (self.format, self.limit_rows) != (AUTO, None):
            raise ValueError(
                f"format {self.format!r} and limit_rows {self.limit_rows} need a path beside them; "
                f"without one those of the arrivals hold"
            )
        return self

    @property
    def follows_arrivals(self) -> bool:
        return self.path is None

    def source(self, replayed: TraceFile | None) -> SizeSource:
        if replayed is not None and self._same_rows(replayed):
            trace, usual = replayed.trace, DRAW_BESIDE_ARRIVALS
        else:
            assert self.path is not None, "validated"
            from traffic.traces import read_trace  # noqa: PLC0415 -- most sizes are drawn, and need no readers

            trace, usual = read_trace(self.path, self.format, self.limit_rows), DRAW_ALONE
        told = (
            ()
            if self.path is None
            else (f"lengths from the trace {self.path.name}: {' '.join(trace.notes)}",)
        )
        return RowSizes(trace, self.draw or usual, told)

    def _same_rows(self, replayed: TraceFile) -> bool:
        return self.path in (None, replayed.path) and self.limit_rows in (None, replayed.limit_rows)

    def apart_from(self, replayed: TraceFile | None) -> Self:
        if not self.follows_arrivals or replayed is None:
            return self
        named = {name: getattr(replayed, name) for name in TraceFile.model_fields}
        return self.model_copy(update={**named, "draw": self.draw or DRAW_BESIDE_ARRIVALS})


@dataclass(frozen=True, slots=True)
class RowSizes:
    """A trace as a source of sizes. Random rows are drawn with replacement, one variate for each request."""

    trace: "Trace"
    draw: Draw
    notes: tuple[str, ...] = ()

    def sizes(
        self, requests: IntArray, prompt_rng: np.random.Generator, output_rng: np.random.Generator
    ) -> Sizes:
        if self.draw == "in_order":
            rows = output_rows = requests % self.trace.rows
        else:
            rows = output_rows = self._random_rows(prompt_rng, len(requests))
            if self.draw == "independently":
                output_rows = self._random_rows(output_rng, len(requests))
        return Sizes(self.trace.prompt_tokens[rows], self.trace.output_tokens[output_rows])

    def _random_rows(self, rng: np.random.Generator, n: int) -> IntArray:
        return (rng.random(n) * self.trace.rows).astype(np.int64)


LENGTH_PAIRS: dict[str, type[RequestLengths]] = by_kind(ProfileLengths, TraceLengths)
"""By kind, of those that are not a distribution for each of the two."""
Lengths = Annotated[RequestLengths, OneOf(LENGTH_PAIRS, plain=PromptAndOutput)]
