"""How long answers are when nothing but the scenario says so."""

from collections.abc import Callable
from functools import cache

import numpy as np

from api_shim.accounts.callers import Caller
from sim.scenario.check import target_model
from sim.scenario.schema import Scenario, Source
from sim.time.streams import stream
from traffic.lengths import LengthDistribution

DRAWS = 8192
"""Drawn once for each source; a request's seed picks one, so that equal bodies get equal lengths."""


class Lengths:
    """By the caller's own source, the scenario's `serve.output`, or the first source that asks the model."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self._scenario = scenario
        self._seed = seed
        self._by_model: dict[str, str] = {}
        for name, source in scenario.traffic.items():
            self._by_model.setdefault(target_model(scenario, source), name)
        self._of_source = cache(self._drawn)

    def of(self, caller: Caller, model: str, seed: int) -> Callable[[], int]:
        sources, serve = self._scenario.traffic, self._scenario.serve
        if caller.source in sources:
            name: str | None = caller.source
        elif serve.output is not None:
            name = None
        else:
            name = self._by_model.get(model, next(iter(sources)))
        return lambda: self._of_source(name)[seed % DRAWS]

    def _drawn(self, name: str | None) -> list[int]:
        """Of the source of this name, or of `serve.output`."""
        if name is None:
            rng = stream(self._seed, 0, "serve/output")
            output = self._scenario.serve.output
            assert output is not None
            return _from_distribution(output, rng)
        return _from_source(
            self._scenario.traffic[name], stream(self._seed, 0, f"serve/source/{name}/output")
        )


def _from_distribution(lengths: LengthDistribution, rng: np.random.Generator) -> list[int]:
    drawn: list[int] = lengths.sample(rng, DRAWS).tolist()
    return drawn


def _from_source(source: Source, rng: np.random.Generator) -> list[int]:
    drawn: list[int] = source.size_source.sizes(np.arange(DRAWS), rng, rng).output_tokens.tolist()
    return drawn
