"""How long prompts and answers are, in tokens. Every draw is at least 1.

Draw i takes the i-th variate of its generator, whatever the parameters and however many are asked for at
once: variants that change a length stay paired request by request.
"""

from math import log
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from e80sim.choices import OneOf, by_kind
from traffic.histogram_length import HistogramLength
from traffic.length_distribution import LengthDistribution
from traffic.profiles import ProfileName, load_profile
from traffic.spec import MAX_TOKENS, Tokens
from traffic.units import IntArray

__all__ = [
    "LENGTHS",
    "FixedLength",
    "GeometricLength",
    "HistogramLength",
    "Length",
    "LengthDistribution",
    "LognormalLength",
    "ProfileLength",
]


class FixedLength(LengthDistribution):
    kind: Literal["fixed"] = "fixed"
    tokens: Tokens

    def sample(self, rng: np.random.Generator, n: int) -> IntArray:
        del rng  # nothing is random here
        return np.full(n, self.tokens, dtype=np.int64)

    @property
    def least_tokens(self) -> int:
        return self.tokens


class LognormalLength(LengthDistribution):
    """Rounded to whole tokens and clipped to [low, high].

    Clipped, not redrawn: that is what clients do to a prompt that is too long and `max_tokens` to an answer,
    the median stays the stated one, and a variant with another `high` leaves all other requests as they were.
    The price is a lump of requests at exactly `high`.
    """

    kind: Literal["lognormal"] = "lognormal"
    median: float = Field(ge=1, le=MAX_TOKENS, description="tokens")
    sigma: float = Field(ge=0, le=10, description="standard deviation of the natural logarithm")
    low: Tokens = 1
    high: Tokens = MAX_TOKENS

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.low <= self.median <= self.high:
            raise ValueError(
                f"the median {self.median:g} must lie between low {self.low} and high {self.high} (included)"
            )
        return self

    def sample(self, rng: np.random.Generator, n: int) -> IntArray:
        tokens = rng.lognormal(log(self.median), self.sigma, n)
        return np.clip(np.rint(tokens), self.low, self.high).astype(np.int64)

    @property
    def least_tokens(self) -> int:
        return self.low


class GeometricLength(LengthDistribution):
    """Memoryless: the discrete counterpart of exponential service, which queueing theory is written for.

    numpy draws it in one way below a mean of 3 and in another above: variants stay paired on one side of it.
    """

    kind: Literal["geometric"] = "geometric"
    mean: float = Field(ge=1, le=MAX_TOKENS, description="tokens")

    def sample(self, rng: np.random.Generator, n: int) -> IntArray:
        return rng.geometric(1 / self.mean, n)


class ProfileLength(LengthDistribution):
    """One of the two lengths of a recorded service, from its quantiles."""

    kind: Literal["profile"] = "profile"
    name: ProfileName
    of: Literal["prompt", "output"] = Field(description="which of the profile's two")

    def sample(self, rng: np.random.Generator, n: int) -> IntArray:
        profile = load_profile(self.name)
        figures = profile.prompt_tokens if self.of == "prompt" else profile.output_tokens
        return figures.sample(rng, n)


LENGTHS: dict[str, type[LengthDistribution]] = by_kind(
    FixedLength, LognormalLength, GeometricLength, ProfileLength, HistogramLength
)
"""By kind. A new one is a class with `sample`, and a place here: docs/extending.md."""
Length = Annotated[LengthDistribution, OneOf(LENGTHS)]
