"""`/metrics` on the port of a node: what vLLM's own server would show if it were one."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from api_shim.telemetry.engine_state import cache_config_of, state_of
from api_shim.telemetry.node_tally import NodeTally
from api_shim.telemetry.reading import Reading, families
from api_shim.telemetry.step_tally import merged
from sim.run.world import World


class NodeMetrics(Collector):
    """Of one node; `reach` lets the model catch up with the present and answers when that is."""

    def __init__(self, world: World, model: str, index: int, reach: Callable[[], int]) -> None:
        self._world = world
        self._model = model
        self._index = index
        self._reach = reach
        self.tally = NodeTally()
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield from families([self._reading(self._reach())])

    def _reading(self, now_ps: int) -> Reading:
        spec, tally = self._world.scenario.models[self._model], self.tally
        node, kv_blocks = self._world.platform.pools[self._model].node(self._index), self._kv_blocks
        state = state_of([node], kv_blocks, now_ps)
        counters: Mapping[str, float] = {
            "prompt_tokens": tally.prompt_tokens,
            "generation_tokens": state.output_tokens,
            "prompt_tokens_cached": tally.cached_tokens,
            "prefix_cache_queries": tally.queries,
            "prefix_cache_hits": tally.hits,
            "num_preemptions": state.preemptions,
        }
        return Reading(
            spec.id,
            tally.histograms | merged([tally], [node.under_way()]),
            counters,
            state.gauges,
            {"request_success": tally.ended, "admission_rejections": tally.rejected},
            state.waiting,
            cache_config_of(spec, kv_blocks),
        )

    @property
    def _kv_blocks(self) -> int:
        return self._world.kv_blocks[self._model]
