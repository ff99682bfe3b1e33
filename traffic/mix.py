"""What a load client sends: kinds of requests, with their shares, their sizes and perhaps their times."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain, count
from pathlib import Path
from typing import Self

import numpy as np
import yaml
from pydantic import Field, ValidationError, model_validator

from e80sim.mistakes import UserError
from e80sim.plain_yaml import Loader
from traffic.arrivals import Arrivals
from traffic.sizes import Lengths, SizeSource
from traffic.spec import MAX_TOKENS, Spec

SIZES_AT_ONCE = 256

WORDS = """
time year way day man world life hand part child eye place work week case point company number group
problem fact water room mother area money story month lot right study book word business issue side
""".split()  # noqa: SIM905 -- a list literal would take a line per word
"""Each is one token in the vocabularies of both models, with a space before it and without."""


class RequestKind(Spec):
    name: str = Field(strict=False, min_length=1)
    weight: float = Field(1.0, gt=0, le=1e9, description="its share, where arrivals do not tell it")
    key: str = "sk-load"
    model: str | None = Field(None, description="on the wire; absent: the first that the server lists")
    place: str | None = Field(None, description="sent as x-sim-place; absent: as the key or the port says")
    stream: bool = True
    max_tokens: int | None = Field(None, ge=1, le=MAX_TOKENS, description="the cap that a request states")
    lengths: Lengths
    arrivals: Arrivals | None = Field(None, description="absent: shares the rate of the whole load")

    def sizes(self, rng: np.random.Generator) -> Iterator[tuple[int, int]]:
        """(prompt tokens, output tokens) of one request after the other, without end."""
        for first in count(0, SIZES_AT_ONCE):
            found = self._size_source.sizes(np.arange(first, first + SIZES_AT_ONCE), rng, rng)
            yield from zip(found.prompt_tokens.tolist(), found.output_tokens.tolist(), strict=True)

    @cached_property
    def _size_source(self) -> SizeSource:
        return self.lengths.source(None)

    @model_validator(mode="after")
    def _a_trace_has_a_path(self) -> Self:
        if self.lengths.follows_arrivals:
            raise UserError(f"the lengths of kind {self.name!r} are a trace's, and need its path")
        return self


class Mix(Spec):
    kinds: tuple[RequestKind, ...] = Field(strict=False, min_length=1)

    @property
    def scheduled(self) -> bool:
        """Whether every kind states its own arrivals."""
        return all(kind.arrivals is not None for kind in self.kinds)

    def weight(self, *, stream: bool) -> float:
        return sum(kind.weight for kind in self.kinds if kind.stream == stream)

    def draw(
        self, rng: np.random.Generator, kinds: Sequence[RequestKind] | None = None
    ) -> Iterator[RequestKind]:
        """Kinds by weight, without end."""
        among = self.kinds if kinds is None else tuple(kinds)
        weights = np.array([kind.weight for kind in among])
        chosen = (rng.choice(len(among), SIZES_AT_ONCE, p=weights / weights.sum()).tolist() for _ in count())
        return (among[index] for index in chain.from_iterable(chosen))


def read_mix(path: Path) -> Mix:
    """YAML or JSON. Raises UserError with a sentence."""
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader)  # noqa: S506 -- a safe loader
        return Mix.model_validate(data, context={"folder": path.parent})
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except yaml.YAMLError:
        raise UserError(f"{path} is not YAML") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"{path}: {where}: {first['msg'].removeprefix('Value error, ')}") from None


def prompt_of(tokens: int, rng: np.random.Generator) -> str:
    """Words that count so many tokens; a chat template comes on top, as the server's usage tells."""
    return " ".join(WORDS[index] for index in rng.integers(len(WORDS), size=tokens).tolist())
