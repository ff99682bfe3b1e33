"""The latencies that requests take by the closed form: the step law in the batch that the load makes.

What it leaves out is what a simulation is for: bursts, batches larger or smaller than their mean, queues of
single nodes, prefix caches, preemptions, retries, connections that are set up.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import log

import numpy as np

from hwmodels.node_hardware import NodeHardware
from reports.arrays import Floats
from reports.metrics import PROBABILITIES
from reports.statistics import quantiles
from sim.bounds.demand import Asked, Demand, demand_of
from sim.bounds.node_bounds import NodeBounds, NodeLoad
from sim.bounds.waiting import likely, mean_wait_s
from sim.network import Network
from sim.scenario.schema import Model, Objectives, Scenario
from sim.time.units import PS_PER_S

POINTS = 1024
"""Requests of a source that stand for all."""


@dataclass(frozen=True)
class Expected:
    """Of one source, a number of each request that stands for all, in seconds."""

    ttft_s: Floats
    e2e_s: Floats
    tpot_s: Floats
    """Of those with a second token."""
    rate_per_s: float
    output_tokens: float
    queue_s: float
    """In the mean, for a slot and for a step to begin."""
    step_s: float
    batch: float
    """Sequences that decode on one node, or one of its ranks."""
    objectives: Objectives

    def answers(self) -> dict[str, dict[str, float]]:
        """By metric and statistic."""
        found = {"ttft": self.ttft_s, "tpot": self.tpot_s, "e2e": self.e2e_s, "felt": self.e2e_s}
        return {name: _statistics(values) for name, values in found.items() if len(values)}

    @property
    def attainment(self) -> float:
        slo, met = self.objectives, np.ones(len(self.e2e_s), np.bool_)
        limits = ((self.ttft_s, slo.ttft_ms), (self.e2e_s, slo.e2e_ms), (self.e2e_s, slo.felt_ms))
        for values, limit_ms in limits:
            if limit_ms is not None:
                met &= values <= limit_ms / 1000
        step_ms = slo.tpot_limit_ms
        if step_ms is not None and len(self.tpot_s) and self.tpot_s[0] > step_ms / 1000:
            return 0.0
        return float(met.mean())


def expected_of(scenario: Scenario) -> dict[str, Expected]:
    """By source, of those that ask a model themselves and whose nodes carry what is asked of them.

    Left out, too, are static batches, disaggregated nodes, and pools that scale: no form stands for them.
    """
    found: dict[str, Expected] = {}
    for name, model in scenario.models.items():
        plain = model.batching.admission == "continuous" and model.batching.prefill == "chunked"
        if plain and model.disaggregated is None and model.scaling is None:
            found |= _of_model(scenario, name, model)
    return found


def _of_model(scenario: Scenario, name: str, model: Model) -> Mapping[str, Expected]:
    hardware, demand = model.build_hardware(), demand_of(scenario, name)
    if any(one.source.callers is not None for one in demand.asked):
        demand = demand_of(scenario, name, NodeBounds(model, hardware, demand).lone_s)
    if not demand.asked:
        return {}
    node, servers = NodeBounds(model, hardware, demand), model.nodes * hardware.ranks
    load = node.steady(demand.rate_per_s / servers)
    if load is None:
        return {}
    wait = Wait.of(node, demand, servers)
    direct = [one for one in demand.asked if one.source.app is None]
    return {one.name: _of_source(scenario, model, hardware, node, load, wait, one) for one in direct}


@dataclass(frozen=True)
class Wait:
    """For a slot of any node: with this probability, and then exponential."""

    likely: float
    mean_s: float

    @classmethod
    def of(cls, node: NodeBounds, demand: Demand, servers: int) -> "Wait":
        (_, tightest), *_ = node.by_room
        capacity = servers * tightest.at_per_s
        busy, slots = demand.rate_per_s / capacity, max(1.0, capacity * tightest.residence_s)
        mean_s = mean_wait_s(busy, slots, tightest.residence_s, demand.output_variation)
        return cls(likely(busy, slots), mean_s)

    def spread(self, count: int) -> Floats:
        """As many waits, evenly over their distribution and in no order."""
        if not self.likely:
            return np.zeros(count)
        shares = (np.random.default_rng(0).permutation(count) + 0.5) / count
        waits: Floats = np.maximum(0.0, log(self.likely) - np.log1p(-shares)) * (self.mean_s / self.likely)
        return waits


def _of_source(
    scenario: Scenario,
    model: Model,
    hardware: NodeHardware,
    node: NodeBounds,
    load: NodeLoad,
    wait: Wait,
    asked: Asked,
) -> Expected:
    every = max(1, len(asked.prompts) // POINTS)
    prompts, outputs = asked.prompts[::every], asked.outputs[::every]
    sizes, which = np.unique(prompts.round().astype(np.int64), return_inverse=True)
    prefill_s = np.array([node.prompt_s(int(size), load) for size in sizes])[which]
    path = Network(scenario.network).path(asked.source.place, None)
    before_s = (path.rtt_ms + path.jitter_mean_ms + scenario.gateway.overhead_ms) / 1000
    joining_s = sum(_joining(model, hardware, node, load))
    before_s += hardware.request_overhead_ps / PS_PER_S
    ttft_s = before_s + joining_s + wait.spread(len(prompts)) + prefill_s
    laters = np.maximum(outputs - 1, 0)
    return Expected(
        ttft_s=ttft_s if asked.source.stream else np.empty(0),
        e2e_s=ttft_s + laters * load.step_s,
        tpot_s=np.full(int((laters > 0).sum()) if asked.source.stream else 0, load.step_s),
        rate_per_s=asked.rate_per_s,
        output_tokens=asked.output_tokens,
        queue_s=wait.mean_s + joining_s,
        step_s=load.step_s,
        batch=load.decodes,
        objectives=scenario.objectives_of(asked.source),
    )


def _joining(model: Model, hardware: NodeHardware, node: NodeBounds, load: NodeLoad) -> Iterator[float]:
    """Until a step begins for one who comes: half of that under way, and the next where it is formed."""
    at_work = 1 - float(np.exp(-load.at_per_s * load.residence_s))
    yield (1 - at_work) * hardware.launch_ps / PS_PER_S
    if node.slots > 1:
        yield at_work * load.step_s / 2
        if model.batching.schedules_ahead(hardware):
            yield at_work * load.step_s


def _statistics(values: Floats) -> dict[str, float]:
    at = quantiles(values, list(PROBABILITIES.values()))
    return {"mean": float(values.mean()), **dict(zip(PROBABILITIES, map(float, at), strict=True))}
