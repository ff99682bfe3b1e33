"""Arrivals of a number of callers: each comes once, and where they stay the load grows with them."""

from collections.abc import Iterator
from typing import Literal, Self

from numpy.random import Generator
from pydantic import Field, model_validator

from traffic.arrival_process import ArrivalProcess
from traffic.blocks import until
from traffic.spec import MAX_S, Spec
from traffic.units import BLOCK, PS_PER_S, as_written, nearest

MOST_CALLERS = 100_000
"""Each may be a process of its own for the whole run."""


class RampArrivals(ArrivalProcess):
    """They come one after the other at equal distances, the first at the start."""

    kind: Literal["ramp"] = "ramp"
    users: int = Field(ge=1, le=MOST_CALLERS, description="how many come")
    over_s: float = Field(0.0, ge=0, le=MAX_S, description="user i comes at i / users of it; 0: all at once")

    def blocks(self, rng: Generator, horizon_ps: int, size: int = BLOCK) -> Iterator[list[int]]:
        del rng  # nothing is random here
        over_ps = PS_PER_S * as_written(self.over_s)
        unit = over_ps.denominator * self.users
        return until(horizon_ps, (nearest(i * over_ps.numerator, unit) for i in range(self.users)), size)

    @property
    def mean_rate_per_s(self) -> None:
        return None

    @property
    def callers(self) -> int:
        return self.users

    def expected(self, horizon_s: float) -> float:
        return self.users * min(1.0, horizon_s / self.over_s) if self.over_s else float(self.users)

    @property
    def last_ps(self) -> int:
        return round(self.over_s * PS_PER_S * (self.users - 1) / self.users)


class JoiningStep(Spec):
    at_s: float = Field(ge=0, le=MAX_S)
    users: int = Field(ge=1, le=MOST_CALLERS, description="how many more come then")


class StepArrivals(ArrivalProcess):
    """Several come at once, at stated times."""

    kind: Literal["steps"] = "steps"
    steps: tuple[JoiningStep, ...] = Field(strict=False, min_length=1, max_length=1000)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for before, after in zip(self.steps, self.steps[1:], strict=False):
            if after.at_s <= before.at_s:
                raise ValueError(
                    f"steps come one after the other, and the one at {after.at_s:g} s follows one at "
                    f"{before.at_s:g} s"
                )
        if self.callers > MOST_CALLERS:
            raise ValueError(f"there are {self.callers:,} users in all, and {MOST_CALLERS:,} at most")
        return self

    def blocks(self, rng: Generator, horizon_ps: int, size: int = BLOCK) -> Iterator[list[int]]:
        del rng  # nothing is random here
        times = (
            at_ps for step in self.steps for at_ps in (round(PS_PER_S * as_written(step.at_s)),) * step.users
        )
        return until(horizon_ps, times, size)

    @property
    def mean_rate_per_s(self) -> None:
        return None

    @property
    def callers(self) -> int:
        return sum(step.users for step in self.steps)

    def expected(self, horizon_s: float) -> float:
        return float(sum(step.users for step in self.steps if step.at_s < horizon_s))

    @property
    def last_ps(self) -> int:
        return round(self.steps[-1].at_s * PS_PER_S)
