"""What vLLM shows of an engine's present state, read off nodes when somebody asks."""

from collections.abc import Sequence
from typing import NamedTuple

from sim.node.node import Node
from sim.platform.ticket import Ticket
from sim.scenario.schema import Model


class EngineState(NamedTuple):
    gauges: dict[str, float]
    waiting: dict[str, int]
    preemptions: int
    output_tokens: int
    """Made by now, also in the middle of a stretch of steps."""


def state_of(nodes: Sequence[Node[Ticket]], kv_blocks: int, now_ps: int) -> EngineState:
    """Of `nodes` seen as one, which have `kv_blocks` together with those that never had a request."""
    kernels = [node.kernel for node in nodes]
    waits = [node.waiting() for node in nodes]
    waiting = {"capacity": sum(lacking for lacking, _ in waits), "deferred": sum(late for _, late in waits)}
    gauges = {
        "num_requests_running": sum(kernel.running for kernel in kernels),
        "num_requests_waiting": sum(waiting.values()),
        "kv_cache_usage_perc": sum(kernel.blocks_in_use(now_ps) for kernel in kernels) / kv_blocks,
    }
    preemptions = sum(kernel.preemptions for kernel in kernels)
    return EngineState(gauges, waiting, preemptions, sum(node.output_tokens() for node in nodes))


def cache_config_of(model: Model, kv_blocks: int) -> dict[str, str]:
    """The labels that routers read; `kv_blocks` of one node."""
    return {
        "block_size": str(model.block_size),
        "num_gpu_blocks": str(kv_blocks),
        "enable_prefix_caching": str(model.batching.enable_prefix_caching),
    }
