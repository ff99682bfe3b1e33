"""Prompt and answer lengths of requests: drawn apart, or taken from the rows of a trace."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple, Protocol, Self

import numpy as np
from pydantic import Discriminator, Field, Tag, model_validator

from traffic.lengths import Length
from traffic.profiles import ProfileName, load_profile
from traffic.spec import DataPath, Spec
from traffic.traces import Trace
from traffic.traces.file import FormatName, LimitRows
from traffic.traces.formats.table import AUTO
from traffic.units import IntArray

Draw = Literal["in_order", "together", "independently"]


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


class PromptAndOutput(Spec):
    """Two independent distributions: the logarithms correlate by -0.004 and 0.088 in Azure's two traces."""

    prompt: Length
    output: Length

    def sizes(
        self, requests: IntArray, prompt_rng: np.random.Generator, output_rng: np.random.Generator
    ) -> Sizes:
        n = len(requests)
        return Sizes(self.prompt.sample(prompt_rng, n), self.output.sample(output_rng, n))


class ProfileLengths(Spec):
    """Both lengths of a recorded service, independent of each other like those of Azure's traces."""

    kind: Literal["profile"] = "profile"
    name: ProfileName

    def sizes(
        self, requests: IntArray, prompt_rng: np.random.Generator, output_rng: np.random.Generator
    ) -> Sizes:
        profile, n = load_profile(self.name), len(requests)
        return Sizes(profile.prompt_tokens.sample(prompt_rng, n), profile.output_tokens.sample(output_rng, n))


class TraceLengths(Spec):
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


@dataclass(frozen=True, slots=True)
class RowSizes:
    """A trace as a source of sizes. Random rows are drawn with replacement, one variate for each request."""

    trace: Trace
    draw: Draw

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


def _lengths_tag(value: object) -> str:
    kind = value.get("kind") if isinstance(value, Mapping) else getattr(value, "kind", None)
    return "prompt_and_output" if kind is None else str(kind)


Lengths = Annotated[
    Annotated[PromptAndOutput, Tag("prompt_and_output")]
    | Annotated[ProfileLengths, Tag("profile")]
    | Annotated[TraceLengths, Tag("trace")],
    Discriminator(
        _lengths_tag,
        custom_error_type="lengths_kind",
        custom_error_message="lengths are either 'prompt' and 'output', each with its kind, "
        "or 'kind: profile', or 'kind: trace'",
    ),
]
