"""What a scenario asks of each of its models: how many requests a second, and how large they are."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import islice

import numpy as np

from reports.arrays import Floats
from sim.scenario.check import target_model
from sim.scenario.schema import Scenario, Source

SAMPLED = 4096
"""Requests of a source whose sizes stand for those of all."""


@dataclass(frozen=True)
class Asked:
    """Of one source: `rate_per_s` model requests, sizes drawn from its distributions."""

    name: str
    source: Source
    rate_per_s: float
    prompts: Floats
    outputs: Floats

    @property
    def prompt_tokens(self) -> float:
        return float(self.prompts.mean())

    @property
    def output_tokens(self) -> float:
        return float(self.outputs.mean())


@dataclass(frozen=True)
class Demand:
    """Of one model, all its sources together. A request's weight is the rate that its source has."""

    asked: Sequence[Asked]

    @property
    def rate_per_s(self) -> float:
        return sum(one.rate_per_s for one in self.asked)

    @cached_property
    def prompts(self) -> Floats:
        return np.concatenate([one.prompts for one in self.asked])

    @cached_property
    def outputs(self) -> Floats:
        return np.concatenate([one.outputs for one in self.asked])

    @cached_property
    def shares(self) -> Floats:
        """What each request of `prompts` and `outputs` counts as of all; they add to 1."""
        rates = [np.full(len(one.prompts), one.rate_per_s / len(one.prompts)) for one in self.asked]
        shares: Floats = np.concatenate(rates) / self.rate_per_s
        return shares

    def mean(self, of_each: Floats) -> float:
        """Of a figure of each request, in the order of `prompts`.

        A sum and no product of vectors: OpenBLAS divides one of more than 10,000 numbers over threads, which
        on busy cores takes ten times as long as the numbers do.
        """
        return float((self.shares * of_each).sum())

    @property
    def prompt_tokens(self) -> float:
        return self.mean(self.prompts)

    @property
    def output_tokens(self) -> float:
        return self.mean(self.outputs)

    @property
    def output_variation(self) -> float:
        """Variance of the lengths of answers over their squared mean: that of the time in a batch, about."""
        return self.mean((self.outputs - self.output_tokens) ** 2) / self.output_tokens**2


def demand_of(scenario: Scenario, model: str, waits_s: float = 0.0) -> Demand:
    """Refused and repeated requests are left out. An answer takes callers who wait for it `waits_s`."""
    rates = _rates(scenario, model, waits_s)
    return Demand(tuple(_asked(scenario, name, rate_per_s) for name, rate_per_s in rates.items()))


def rate_of(scenario: Scenario, model: str) -> float:
    """That of `demand_of`, for which no size is drawn."""
    return sum(_rates(scenario, model, 0.0).values())


def _rates(scenario: Scenario, model: str, waits_s: float) -> dict[str, float]:
    """Of the sources that ask `model`, those that ask nothing left out."""
    rates = {
        name: _rate_per_s(scenario, source, waits_s)
        for name, source in scenario.traffic.items()
        if target_model(scenario, source) == model
    }
    return {name: rate for name, rate in rates.items() if rate > 0}


def _rate_per_s(scenario: Scenario, source: Source, waits_s: float) -> float:
    horizon_s = scenario.run.horizon_s
    arrivals = source.arrivals.expected(horizon_s) or 0.0
    calls = 1.0 if source.app is None else scenario.apps[source.app].mean_calls
    asks = source.requests_per_arrival
    if source.callers is not None:
        asks = source.callers.asks(calls * waits_s, 0.0, horizon_s)
    return arrivals * asks * calls / horizon_s


def _asked(scenario: Scenario, name: str, rate_per_s: float) -> Asked:
    source = scenario.traffic[name]
    prompts, outputs = _sizes(_Drawn(source.model_dump_json(), source))
    if source.max_output_tokens is not None:
        outputs = np.minimum(outputs, source.max_output_tokens)
    rounds = _rounds(scenario, source)
    if rounds > 1:  # of a conversation, every turn begins with all before it
        prompts = prompts * (rounds + 1) / 2 + outputs * (rounds - 1) / 2
    return Asked(name, source, rate_per_s, prompts, outputs)


@dataclass(frozen=True)
class _Drawn:
    """A source, told from others by its text: one that was drawn before is not drawn again."""

    text: str
    source: Source = field(compare=False)


@lru_cache(maxsize=64)
def _sizes(drawn: _Drawn) -> tuple[Floats, Floats]:
    """Prompts and outputs of `SAMPLED` requests."""
    source, rng = drawn.source, (np.random.default_rng(0), np.random.default_rng(1))
    beginning = 0
    if source.prefix is not None:
        beginnings = source.beginnings("", np.random.default_rng(2))
        beginning = round(sum(one.tokens for one in islice(beginnings, SAMPLED)) / SAMPLED)
    prompts, outputs = source.first_sizes(SAMPLED, *rng)
    return (prompts + beginning).astype(float), outputs.astype(float)


def _rounds(scenario: Scenario, source: Source) -> float:
    """Requests of a conversation whose prompts grow, on average; else 1."""
    if source.callers is not None and source.callers.prompts_grow:
        return source.callers.turns_of_each
    app = None if source.app is None else scenario.apps[source.app]
    return app.mean_calls if app is not None and app.history else 1.0
