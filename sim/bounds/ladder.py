"""The ladder of limits of a model: each with the load at which it binds, in order, the lowest one binding."""

from collections.abc import Callable, Iterator
from math import inf
from typing import Any, NamedTuple

from reports.words import amount, as_chosen, duration, plural
from sim.bounds.demand import Demand, demand_of, rate_of
from sim.bounds.node_bounds import NodeBounds, NodeLoad
from sim.bounds.shared_bounds import access_lines, gateway, rate_limits
from sim.bounds.waiting import busy_at
from sim.scenario.schema import Model, Scenario

TITLES = {
    "kv_pool": "KV pool",
    "slots": "slots (max_num_seqs)",
    "step_tokens": "tokens of a step",
    "prefill_duty": "prefill duty",
    "decode_bandwidth": "decode bandwidth",
    "batches": "batches that nobody joins",
    "rpm": "RPM",
    "tpm": "TPM",
    "gateway": "gateway",
    "queue_wait": "queue wait",
    "network_line": "network line",
}


class Rung(NamedTuple):
    limit: str
    """A key of `TITLES`, or `<quantity>_per_minute`."""
    at_per_s: float
    """Requests a second to the model, in the scenario's mix, at which it binds."""
    times: float
    """Of the load that the scenario states."""
    detail: str

    @property
    def title(self) -> str:
        return TITLES.get(self.limit, self.limit.replace("_", " "))


class Ladder(NamedTuple):
    """`rungs`: the lowest first, which binds. None without traffic."""

    model: str
    nodes: int
    offered_per_s: float
    rungs: tuple[Rung, ...]

    @property
    def binding(self) -> Rung:
        return self.rungs[0]

    @property
    def node_capacity_per_s(self) -> float:
        """What the nodes carry, whatever stands before them."""
        return min((one.at_per_s for one in self.rungs if one.limit in OF_NODES), default=inf)

    def json(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "nodes": self.nodes,
            "offered_per_s": self.offered_per_s,
            "binding": self.binding.limit,
            "rungs": [{**one._asdict(), "title": one.title} for one in self.rungs],
        }


OF_NODES = ("kv_pool", "slots", "step_tokens", "prefill_duty", "decode_bandwidth", "batches")


def ladders_of(scenario: Scenario) -> dict[str, Ladder]:
    """Of every model that has traffic."""
    found = (ladder_of(scenario, name) for name in scenario.models)
    return {one.model: one for one in found if one is not None}


def ladder_of(scenario: Scenario, name: str) -> Ladder | None:
    """None without traffic. Raises ValueError where the hardware cannot be built."""
    model, demand = scenario.models[name], demand_of(scenario, name)
    if any(one.source.callers is not None for one in demand.asked):
        waits_s = NodeBounds(model, model.build_hardware(), demand).lone_s
        demand = demand_of(scenario, name, waits_s)
    offered = demand.rate_per_s
    if not offered:
        return None
    rates = {other: rate_of(scenario, other) for other in scenario.models}
    node = NodeBounds(model, model.build_hardware(), demand)
    nodes = list(_of_nodes(model, demand, node))
    shared = [
        *gateway(scenario, rates),
        *access_lines(scenario, demand),
        *(() if model.limits is None else rate_limits(model.limits, demand)),
    ]
    rungs = [Rung(limit, at, at / offered, detail) for limit, at, detail in nodes]
    rungs += [Rung(limit, times * offered, times, detail) for limit, times, detail in shared]
    rungs += [
        Rung("queue_wait", at, at / offered, detail)
        for at, detail in _queue_wait(scenario, model, demand, node)
    ]
    ordered = sorted((one for one in rungs if one.at_per_s < inf), key=lambda one: one.at_per_s)
    return Ladder(name, model.nodes, offered, tuple(ordered))


def _of_nodes(model: Model, demand: Demand, both: NodeBounds) -> Iterator[tuple[str, float, str]]:
    """`both`: a node that prefills and decodes."""
    divided = model.disaggregated
    prefill, decode = both, both
    first = later = model.nodes * both.ranks
    if divided is not None:
        hardware = model.build_hardware()
        first, later = divided.prefill_nodes, model.nodes - divided.prefill_nodes
        prefill = NodeBounds(model, hardware, demand, decodes=False)
        decode = NodeBounds(model, hardware, demand, prefills=False)
    yield "prefill_duty", first * prefill.by_prefill(), _prompts(demand)
    yield "decode_bandwidth", later * decode.by_decode(), _answers(demand)
    if model.batching.admission != "continuous":
        load = both.by_batches(both.slots)
        yield "batches", model.nodes * load.at_per_s, _batch(load)
        return
    for limit, load in decode.by_room:
        if limit != "step_tokens" or divided is None:
            yield limit, later * load.at_per_s, _DETAILS[limit](decode, load)


def _prompts(demand: Demand) -> str:
    return f"{demand.prompt_tokens:,.0f} tokens of prompt, and nothing else"


def _answers(demand: Demand) -> str:
    return f"{demand.output_tokens:,.0f} tokens of answer, and nothing else"


def _decoding(load: NodeLoad) -> str:
    return f"{_rounded(load.decodes)} decoding in steps of {duration(load.step_s)}"


def _rounded(count: float) -> str:
    return f"{count:,.0f}" if count >= 10 else amount(count)


_DETAILS: dict[str, Callable[[NodeBounds, NodeLoad], str]] = {
    "slots": lambda node, load: f"{plural(node.slots, 'sequence')} for {duration(load.residence_s)} each",
    "kv_pool": lambda node, load: f"{node.kv_pool_tokens:,.0f} tokens, {_decoding(load)}",
    "step_tokens": lambda node, load: f"{node.step_tokens:,} tokens, {_decoding(load)}",
}


def _batch(load: NodeLoad) -> str:
    return f"{load.at_per_s * load.residence_s:,.0f} sequences for {duration(load.residence_s)}"


def _queue_wait(
    scenario: Scenario, model: Model, demand: Demand, node: NodeBounds
) -> Iterator[tuple[float, str]]:
    """Where the mean wait for a slot takes all that the TTFT objective leaves of a lone request."""
    stated = [scenario.objectives_of(one.source).ttft_ms for one in demand.asked]
    objective_ms = min((one for one in stated if one is not None), default=None)
    batches = model.batching.admission != "continuous"
    if objective_ms is None or model.disaggregated is not None or batches:
        return
    (_, tightest), *_ = node.by_room
    left_s = objective_ms / 1000 - node.lone_first_s
    detail = f"{duration(max(0.0, left_s))} left of a TTFT of {as_chosen(objective_ms)} ms"
    if left_s <= 0:
        yield 0.0, detail
        return
    capacity = model.nodes * node.ranks * tightest.at_per_s
    servers = max(1.0, capacity * tightest.residence_s)
    yield capacity * busy_at(left_s, servers, tightest.residence_s, demand.output_variation), detail
