"""How long answers are when nothing but the scenario says so."""

from collections.abc import Callable
from functools import partial

import numpy as np

from api_shim.callers import Caller
from sim.scenario.check import target_model
from sim.scenario.schema import Scenario, Source
from traffic.lengths import LengthDistribution

MAX_ROW = 2**31


class Lengths:
    """By the caller's own source, the scenario's `serve.output`, or the first source that asks the model."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._by_model: dict[str, Source] = {}
        for source in scenario.traffic.values():
            self._by_model.setdefault(target_model(scenario, source), source)

    def of(self, caller: Caller, model: str, seed: int) -> Callable[[], int]:
        """Draws when it is called, and the same for the same seed."""
        sources = self._scenario.traffic
        if caller.source in sources:
            return partial(_from_source, sources[caller.source], seed)
        if self._scenario.serve.output is not None:
            return partial(_from_distribution, self._scenario.serve.output, seed)
        return partial(_from_source, self._by_model.get(model, next(iter(sources.values()))), seed)


def _from_distribution(lengths: LengthDistribution, seed: int) -> int:
    return int(lengths.sample(_generator(seed), 1)[0])


def _from_source(source: Source, seed: int) -> int:
    rng, row = _generator(seed), np.array([seed % MAX_ROW])
    return int(source.size_source.sizes(row, rng, rng).output_tokens[0])


def _generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64DXSM(seed))
