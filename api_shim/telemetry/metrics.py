"""`/metrics`: vLLM's names, each model's pool as one engine, and ours. All times are the model's."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from api_shim.clocks.clock import Clock
from api_shim.clocks.histogram import Histogram
from api_shim.clocks.pacing import Pacing
from api_shim.exchange.exchange import Exchange
from api_shim.exchange.stamps import span_of
from api_shim.node_ports import NodePort
from api_shim.settings import ServerSettings
from api_shim.telemetry.engine_state import cache_config_of, state_of
from api_shim.telemetry.kinds import OF_REQUESTS
from api_shim.telemetry.node_metrics import NodeMetrics
from api_shim.telemetry.reading import QUEUE_LIMITS, Reading, buckets, families
from api_shim.telemetry.source_tally import SourceKey, SourceTally
from api_shim.telemetry.step_tally import StepTally, merged
from sim.node.watch import NodeWatch
from sim.run.world import World
from sim.time.units import PS_PER_S, s_of_ps

MODEL = ("model_name",)


class Named(Protocol):
    """A model: its name in the scenario, and on the wire."""

    @property
    def name(self) -> str: ...
    @property
    def id(self) -> str: ...


class Observed(Protocol):
    """The server whose numbers these are."""

    world: World
    clock: Clock
    pacing: Pacing
    settings: ServerSettings
    streams: int

    @property
    def models(self) -> Mapping[str, Named]: ...


class Tally:
    """Of the requests to one model, from the gateway's door to their ends."""

    def __init__(self) -> None:
        self.histograms = {name: Histogram(kind.bounds) for name, kind in OF_REQUESTS.items()}
        self.answered: Counter[str] = Counter()
        """By finish reason."""
        self.refused: Counter[str] = Counter()
        self.cached_tokens = 0
        """Of the prompts of answered requests."""

    def observe(self, exchange: Exchange) -> None:
        """Once for each request, at its end."""
        call, ticket = exchange.call, exchange.call.ticket
        if not exchange.answered or ticket is None:
            self.refused[call.unanswered_for] += 1
            return
        sequences = ticket.sequences
        arrived = ticket.departure.arrived_ps
        started, first, last = span_of(sequences)
        each, samples = exchange.plan.output_tokens, call.request.samples
        of = self.histograms
        of["time_to_first_token_seconds"].observe(first - arrived)
        if each > 1:
            of["request_time_per_output_token_seconds"].observe((last - first) // (each - 1))
        of["e2e_request_latency_seconds"].observe(last - arrived)
        of["request_queue_time_seconds"].observe(started - ticket.admitted_ps)
        of["request_prefill_time_seconds"].observe(first - started)
        of["request_decode_time_seconds"].observe(last - first)
        of["request_inference_time_seconds"].observe(last - started)
        of["request_prompt_tokens"].observe(call.request.prompt_tokens)
        of["request_generation_tokens"].observe(each * samples)
        of["request_max_num_generation_tokens"].observe(each)
        cached = sequences[0].cached_tokens
        of["request_prefill_kv_computed_tokens"].observe(call.request.prompt_tokens - cached)
        of["request_params_n"].observe(samples)
        of["request_num_preemptions"].observe(sum([sequence.preemptions for sequence in sequences]))
        if call.request.max_output_tokens is not None:
            of["request_params_max_tokens"].observe(call.request.max_output_tokens)
        self.cached_tokens += cached
        self.answered[exchange.plan.finish_reason] += 1
        exchange.shim.pacing.ttft.observe(first - arrived)


class Metrics(Collector):
    """Read off the tallies and the model when somebody asks."""

    def __init__(self, shim: Observed) -> None:
        self._shim = shim
        self.tallies = {model_id: Tally() for model_id in shim.models}
        self.whole = {model_id: SourceTally() for model_id in shim.models}
        self.sources: defaultdict[SourceKey, SourceTally] = defaultdict(SourceTally)
        """Of those that asked."""
        self.steps = {model.name: StepTally() for model in shim.models.values()}
        """By the model's name in the scenario."""
        self.nodes = {
            (node.model, node.index): NodeMetrics(shim.world, node.model, node.index, shim.clock.reach)
            for node in shim.settings.node_of_port.values()
        }
        """Those that have ports of their own."""
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def watch(self, model: str, index: int) -> NodeWatch:
        """For each node that is made: all of a model's are counted together, but those with ports."""
        alone = self.nodes.get((model, index))
        return self.steps[model] if alone is None else alone.tally

    def registry_of(self, node: NodePort | None) -> CollectorRegistry:
        """None: the platform's."""
        return self.registry if node is None else self.nodes[node.model, node.index].registry

    def observe(self, exchange: Exchange) -> None:
        model_id, request = exchange.model_id, exchange.call.request
        self.tallies[model_id].observe(exchange)
        self.whole[model_id].observe(exchange)
        self.sources[SourceKey(model_id, request.source, request.place)].observe(exchange)

    def describe(self) -> list[Metric]:
        return []  # the registry need not collect once to learn the names

    def collect(self) -> Iterator[Metric]:
        now_ps = self._shim.clock.reach()
        yield from families([self._reading(model, now_ps) for model in self._shim.models.values()])
        yield from self._refusals()
        yield from self._gateway_queues()
        yield from self._server()

    def steps_of(self, model: Named) -> list[StepTally]:
        """Which together count all of its nodes."""
        alone = [node.tally for (of_model, _), node in self.nodes.items() if of_model == model.name]
        return [self.steps[model.name], *alone]

    def _reading(self, model: Named, now_ps: int) -> Reading:
        world, tally = self._shim.world, self.tallies[model.id]
        steps = self.steps_of(model)
        pool, kv_blocks = world.platform.pools[model.name], world.kv_blocks[model.name]
        nodes = pool.nodes
        state = state_of(nodes, kv_blocks * pool.size, now_ps)
        return Reading(
            model.id,
            tally.histograms | merged(steps, [node.under_way() for node in nodes]),
            {
                "prompt_tokens": tally.histograms["request_prompt_tokens"].sum,
                "generation_tokens": tally.histograms["request_generation_tokens"].sum,
                "prompt_tokens_cached": tally.cached_tokens,
                "prefix_cache_queries": sum(one.queries for one in steps),
                "prefix_cache_hits": sum(one.hits for one in steps),
                "num_preemptions": state.preemptions,
            },
            state.gauges,
            {
                "request_success": tally.answered,
                "admission_rejections": {
                    limit: tally.refused[limit] for limit in QUEUE_LIMITS if limit in tally.refused
                },
            },
            state.waiting,
            cache_config_of(world.scenario.models[model.name], kv_blocks),
        )

    def _refusals(self) -> Iterator[Metric]:
        refused = CounterMetricFamily(
            "e80sim:requests_refused", "Requests not answered.", labels=(*MODEL, "reason")
        )
        for model_id, tally in self.tallies.items():
            for reason, count in tally.refused.items():
                refused.add_metric([model_id, reason], count)
        yield refused

    def _gateway_queues(self) -> Iterator[Metric]:
        queue = GaugeMetricFamily("e80sim:flow_control_queue_size", "Wait at the gateway.", labels=MODEL)
        full = GaugeMetricFamily(
            "e80sim:flow_control_pool_saturation", "Requests inside, of those that may be.", labels=MODEL
        )
        for model in self._shim.models.values():
            flow = self._shim.world.platform.gateway.admissions[model.name].flow
            if flow is not None:
                queue.add_metric([model.id], flow.waiting)
                full.add_metric([model.id], flow.inside / flow.capacity if flow.capacity else 1.0)
        yield from (queue, full)

    def _server(self) -> Iterator[Metric]:
        shim = self._shim
        lateness = shim.pacing.lateness
        yield HistogramMetricFamily(
            "e80sim:lateness_seconds",
            "How much later than simulated the server began to write.",
            buckets(lateness, PS_PER_S),
            lateness.sum / PS_PER_S,
        )
        gauges = {
            "paced": ("1 while wall times can be believed, else 0.", shim.pacing.paced),
            "speed": ("Simulated seconds per second.", shim.clock.speed),
            "streams": ("Streams open.", shim.streams),
            "flush_seconds": ("Between two writes of a stream.", shim.settings.flush(shim.streams) / 1000),
            "simulated_seconds": ("Since the server began.", s_of_ps(shim.clock.now_ps())),
            "requests_inside": ("Requests submitted and not ended.", len(shim.world.platform.inside)),
        }
        for name, (text, value) in gauges.items():
            yield GaugeMetricFamily(f"e80sim:{name}", text, float(value))
