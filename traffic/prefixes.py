"""What the prompts of one source have in common, so that a node with a prefix cache computes it once."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, Self

from numpy.random import Generator
from pydantic import Field, model_validator

from e80sim.choices import OneOf, by_kind
from traffic.clients import Clients
from traffic.lengths import Length
from traffic.request import Prefix
from traffic.run_names import RunNames
from traffic.spec import Spec
from traffic.traces.words import TraceError
from traffic.units import IntArray

if TYPE_CHECKING:
    from traffic.traces.trace import Trace


class Beginning(NamedTuple):
    """How the prompt of one request begins."""

    prefix: Prefix = ()
    tokens: int = 0
    """Which come before the tokens that `lengths` says."""


class PromptPrefixes(Spec, ABC):
    """How prompts begin, as a scenario says it."""

    @property
    def follows_arrivals(self) -> bool:
        """They are those of the rows that the arrivals replay."""
        return False

    @abstractmethod
    def beginnings(
        self, source: str, rng: Generator, trace: "Trace | None", rows: Iterator[IntArray]
    ) -> Iterator[Beginning]:
        """For arrival 0, 1, 2 ... without end. `rows` of `trace` are what is replayed, if anything is.

        Raises TraceError where the trace does not say how its prompts begin.
        """


class PrefixGroups(PromptPrefixes):
    """System prompts: each request belongs to a group, and all prompts of a group begin with its own."""

    kind: Literal["groups"] = "groups"
    groups: int = Field(ge=1, le=100_000, description="how many there are")
    tokens: Length = Field(description="of each group's beginning, before the tokens that `lengths` says")
    busiest_half: int | None = Field(
        default=None,
        ge=1,
        le=50_000,
        description="so many of them have half of the requests, as of `clients`; absent: all have alike",
    )

    @model_validator(mode="after")
    def _at_most_half(self) -> Self:
        if self.busiest_half is not None and 2 * self.busiest_half > self.groups:
            raise ValueError(
                f"busiest_half is {self.busiest_half} of {self.groups} groups, but {self.groups // 2} of "
                f"them already have half of the requests when all have alike"
            )
        return self

    def beginnings(
        self, source: str, rng: Generator, trace: "Trace | None", rows: Iterator[IntArray]
    ) -> Iterator[Beginning]:
        del trace, rows
        tokens = self.tokens.sample(rng, self.groups).tolist()
        found = [Beginning(((f"{source}/{i}", each),), each) for i, each in enumerate(tokens)]
        groups = Clients(count=self.groups, busiest_half=self.busiest_half).draw(rng)
        return (found[group] for group in groups)


class TracePrefixes(PromptPrefixes):
    """As the `hash_ids` of the trace say that the arrivals replay."""

    kind: Literal["trace"] = "trace"

    @property
    def follows_arrivals(self) -> bool:
        return True

    def beginnings(
        self, source: str, rng: Generator, trace: "Trace | None", rows: Iterator[IntArray]
    ) -> Iterator[Beginning]:
        del rng
        assert trace is not None, "validated"
        found = [Beginning(prefix) for prefix in _recorded(source, trace)]
        return (found[row] for row in chain.from_iterable(block.tolist() for block in rows))


def _recorded(source: str, trace: "Trace") -> Iterator[Prefix]:
    """By the row; TraceError where the trace does not say."""
    blocks = trace.blocks
    if trace.prefixes is not None:
        yield from (of_source(source, prefix) for prefix in trace.prefixes)
    elif blocks is not None:
        names, tokens = RunNames(), trace.prompt_tokens.tolist()
        for row in range(trace.rows):
            ids, name = blocks.of_row(row), f"{source}/row {row}"
            yield names.prefix(ids, blocks.block_tokens, tokens[row], name)
    else:
        raise TraceError(f"{trace.name} has no `hash_ids`: it does not say how its prompts begin")


def of_source(source: str, prefix: Prefix) -> Prefix:
    """With names that no other source has."""
    return tuple((f"{source}/{name}", end) for name, end in prefix)


PREFIXES: dict[str, type[PromptPrefixes]] = by_kind(PrefixGroups, TracePrefixes)
Prefixes = Annotated[PromptPrefixes, OneOf(PREFIXES)]
NOTHING_IN_COMMON = Beginning()
