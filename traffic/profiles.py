"""What a recorded service asked for, as figures: quantiles of its lengths and the course of its rate.

`traffic/data/profiles/*.yaml`, built from the raw files by docs/data/build_traffic_profiles.py.
"""

from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Annotated, Self

import numpy as np
import yaml
from numpy.random import Generator
from pydantic import AfterValidator, Field, model_validator

from e80sim.choices import Confidence
from traffic.spec import Spec, Tokens
from traffic.units import FloatArray, IntArray

FOLDER = Path(__file__).resolve().parent / "data" / "profiles"
LEVELS: FloatArray = np.array([*np.arange(100) / 100, 0.995, 0.999, 0.9999, 1.0])
"""Of the quantiles. The tail has more of them, or a straight line from the 99th percentile to the longest
request would weigh too much: it adds 3.5 % to the mean prompt of azure-2023-conv, with them it is 0.4 %."""


class ProfileFigure(Spec):
    value: float
    source: str = Field(min_length=1)
    confidence: Confidence


class Windows(Spec):
    window_s: float = Field(gt=0)
    factors: tuple[float, ...] = Field(
        strict=False, min_length=1, description="requests per window over their mean"
    )
    source: str
    confidence: Confidence


class ArrivalFigures(Spec):
    rate_per_s: ProfileFigure
    cv: ProfileFigure
    windows: Windows


class LengthFigures(Spec):
    """Quantiles at `LEVELS`."""

    mean: float
    quantiles: tuple[Tokens, ...] = Field(strict=False)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        assert len(self.quantiles) == len(LEVELS), len(self.quantiles)
        assert list(self.quantiles) == sorted(self.quantiles), "quantiles ascend"
        return self

    def sample(self, rng: Generator, n: int) -> IntArray:
        """One uniform variate per draw: profiles stay paired request by request."""
        return np.rint(np.interp(rng.random(n), LEVELS, self.quantiles)).astype(np.int64)


class Profile(Spec):
    title: str
    source: str
    licence: str
    covers: str
    lacks: str
    confidence: Confidence
    arrivals: ArrivalFigures
    prompt_tokens: LengthFigures
    output_tokens: LengthFigures


def profile_names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


@cache
def load_profile(name: str) -> Profile:
    """Raises ValueError for an unknown name."""
    if name not in profile_names():
        raise ValueError(_unknown(name))
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    return Profile.model_validate(yaml.load(text, Loader=yaml.CSafeLoader))


def _unknown(name: str) -> str:
    close = get_close_matches(name, profile_names(), n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(profile_names())}"
    return f"there is no traffic profile {name!r}; {hint}"


def _known(name: str) -> str:
    if name not in profile_names():
        raise ValueError(_unknown(name))
    return name


ProfileName = Annotated[str, AfterValidator(_known), Field(description="such as azure-2023-conv")]
