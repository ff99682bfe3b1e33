"""When something breaks, and for how long: once at a stated time, or again and again by chance."""

from collections.abc import Iterator
from typing import NamedTuple, Self

from numpy.random import Generator
from pydantic import Field, model_validator

from sim.time.units import PS_PER_S, ps_of_s
from traffic.spec import MAX_S, MIN_S, Spec

SHORTEST_MTBF_S = 0.1
"""Each failure is a few events: so many in a second are enough."""


class Span(NamedTuple):
    begin_ps: int
    end_ps: int | None
    """None: it is not mended before the run ends."""


class Schedule(Spec):
    """`at_s` and `for_s` state one failure; `mtbf_s` and `mttr_s` draw one after the other."""

    at_s: float | None = Field(None, ge=0, le=MAX_S, description="when it breaks")
    for_s: float | None = Field(
        None, ge=MIN_S, le=MAX_S, description="how long after `at_s` it is mended; absent: not before the end"
    )
    mtbf_s: float | None = Field(
        None,
        ge=SHORTEST_MTBF_S,
        le=MAX_S,
        description="instead: mean time from the start, or from a repair, to the next failure (exponential)",
    )
    mttr_s: float | None = Field(
        None, ge=MIN_S, le=MAX_S, description="with `mtbf_s`: mean time of a repair (exponential)"
    )

    @model_validator(mode="after")
    def _once_or_again(self) -> Self:
        if (self.at_s is None) == (self.mtbf_s is None):
            raise ValueError(
                "a fault breaks either `at_s`, or by chance every `mtbf_s` in the mean: state one"
            )
        if self.mtbf_s is None and self.mttr_s is not None:
            raise ValueError("`mttr_s` goes with `mtbf_s`: what breaks `at_s` is mended after `for_s`")
        if self.mtbf_s is not None and (self.mttr_s is None or self.for_s is not None):
            raise ValueError("with `mtbf_s` goes `mttr_s`, the mean time of a repair, and no `for_s`")
        return self

    @property
    def extra_ps(self) -> int:
        """What every repair takes on top."""
        return 0

    @property
    def window_s(self) -> tuple[float, float]:
        """It is broken within this stretch of time only."""
        if self.at_s is None:
            return 0.0, float(MAX_S)
        return self.at_s, float(
            MAX_S
        ) if self.for_s is None else self.at_s + self.for_s + self.extra_ps / PS_PER_S

    def from_now(self, begin_ps: int) -> Span:
        """Of one that breaks at a stated time, if it broke at `begin_ps` instead."""
        return Span(begin_ps, None if self.for_s is None else begin_ps + ps_of_s(self.for_s) + self.extra_ps)

    def spans(self, rng: Generator) -> Iterator[Span]:
        """One after the other. A repair, like the time before it, lasts a picosecond at least."""
        if self.at_s is not None:
            yield self.from_now(ps_of_s(self.at_s))
            return
        assert self.mtbf_s is not None
        assert self.mttr_s is not None
        now_ps = 0
        while True:
            begin_ps = now_ps + _drawn_ps(rng, self.mtbf_s)
            now_ps = begin_ps + _drawn_ps(rng, self.mttr_s) + self.extra_ps
            yield Span(begin_ps, now_ps)


def _drawn_ps(rng: Generator, mean_s: float) -> int:
    return max(1, round(rng.exponential(mean_s) * PS_PER_S))
