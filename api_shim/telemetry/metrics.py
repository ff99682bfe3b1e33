"""`/metrics`: vLLM's names, with buckets fine enough for an ASIC, and ours. All times are the model's."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from api_shim.clocks.clock import Clock
from api_shim.clocks.histogram import SPANS_PS, TOKENS, Histogram
from api_shim.clocks.pacing import Pacing
from api_shim.exchange.exchange import Exchange
from api_shim.settings import ServerSettings
from sim.run.world import World
from sim.time.units import PS_PER_S, s_of_ps

MODEL = ("model_name",)
QUEUE_LIMITS = ("max_num_queued_reqs", "max_num_queued_tokens")
"""Why a node refuses, by vLLM's names."""


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


class HistogramKind(NamedTuple):
    text: str
    bounds: tuple[int, ...]
    unit: int
    """What a value is divided by to be shown."""


def _span(text: str) -> HistogramKind:
    return HistogramKind(text, SPANS_PS, PS_PER_S)


def _count(text: str) -> HistogramKind:
    return HistogramKind(text, TOKENS, 1)


KINDS = {
    "time_to_first_token_seconds": _span("From the gateway's door to the first token."),
    "request_time_per_output_token_seconds": _span("Mean gap between the tokens of a request."),
    "e2e_request_latency_seconds": _span("From the gateway's door to the last token."),
    "request_queue_time_seconds": _span("From admission to the first step."),
    "request_prefill_time_seconds": _span("From the first step to the first token."),
    "request_decode_time_seconds": _span("From the first token to the last."),
    "request_inference_time_seconds": _span("From the first step to the last token."),
    "request_prompt_tokens": _count("Prompt tokens of a request."),
    "request_generation_tokens": _count("Output tokens of a request."),
    "request_params_max_tokens": _count("The cap that a request states."),
    "request_params_n": _count("Completions that a request asks for."),
}


class Tally:
    """Of one model."""

    def __init__(self) -> None:
        self.histograms = {name: Histogram(kind.bounds) for name, kind in KINDS.items()}
        self.answered: Counter[str] = Counter()
        """By finish reason."""
        self.refused: Counter[str] = Counter()
        self.cached_tokens = 0
        """Of the prompts of answered requests."""

    def observe(self, exchange: Exchange) -> None:
        """Once for each request, at its end."""
        call, ticket = exchange.call, exchange.call.ticket
        if not exchange.answered or ticket is None:
            refusal = call.refusal
            self.refused[refusal.cause if refusal is not None else call.reason or "cancelled"] += 1
            return
        sequences = ticket.sequences
        arrived = ticket.departure.arrived_ps
        started = min(s.started_ps for s in sequences)
        first = min(s.first_ps for s in sequences)
        last = max(s.last_ps for s in sequences)
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
        of["request_params_n"].observe(samples)
        if call.request.max_output_tokens is not None:
            of["request_params_max_tokens"].observe(call.request.max_output_tokens)
        self.cached_tokens += sequences[0].cached_tokens
        self.answered[exchange.plan.finish_reason] += 1
        exchange.shim.pacing.ttft.observe(first - arrived)


class Metrics(Collector):
    """Read off the tallies and the model when somebody asks."""

    def __init__(self, shim: Observed) -> None:
        self._shim = shim
        self.tallies = {model_id: Tally() for model_id in shim.models}
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def observe(self, exchange: Exchange) -> None:
        self.tallies[exchange.model_id].observe(exchange)

    def describe(self) -> list[Metric]:
        return []  # the registry need not collect once to learn the names

    def collect(self) -> Iterator[Metric]:
        for name, kind in KINDS.items():
            family = HistogramMetricFamily(f"vllm:{name}", kind.text, labels=MODEL)
            for model_id, tally in self.tallies.items():
                histogram = tally.histograms[name]
                family.add_metric([model_id], _buckets(histogram, kind.unit), histogram.sum / kind.unit)
            yield family
        yield from self._totals()
        yield from self._nodes()
        yield from self._ours()

    def _totals(self) -> Iterator[Metric]:
        prompt = CounterMetricFamily(
            "vllm:prompt_tokens", "Prompt tokens of answered requests.", labels=MODEL
        )
        output = CounterMetricFamily("vllm:generation_tokens", "Their output tokens.", labels=MODEL)
        labels = (*MODEL, "finished_reason")
        success = CounterMetricFamily("vllm:request_success", "Requests answered.", labels=labels)
        refused = CounterMetricFamily(
            "e80sim:requests_refused", "Requests not answered.", labels=(*MODEL, "reason")
        )
        cached = CounterMetricFamily(
            "vllm:prompt_tokens_cached", "Of the prompt tokens, found in a cache.", labels=MODEL
        )
        queries = CounterMetricFamily(
            "vllm:prefix_cache_queries", "Prompt tokens looked for in prefix caches.", labels=MODEL
        )
        hits = CounterMetricFamily("vllm:prefix_cache_hits", "Those found.", labels=MODEL)
        by_nodes = CounterMetricFamily(
            "vllm:admission_rejections", "Requests that nodes refused.", labels=(*MODEL, "reason")
        )
        for model_id, tally in self.tallies.items():
            asked = tally.histograms["request_prompt_tokens"].sum
            prompt.add_metric([model_id], asked)
            model = self._shim.world.scenario.models[self._shim.models[model_id].name]
            caches = model.batching.enable_prefix_caching
            queries.add_metric([model_id], asked if caches else 0)
            for found in (cached, hits):
                found.add_metric([model_id], tally.cached_tokens)
            output.add_metric([model_id], tally.histograms["request_generation_tokens"].sum)
            for reason, count in tally.answered.items():
                success.add_metric([model_id, reason], count)
            for reason, count in tally.refused.items():
                refused.add_metric([model_id, reason], count)
                if reason in QUEUE_LIMITS:
                    by_nodes.add_metric([model_id, reason], count)
        yield from (prompt, output, cached, queries, hits, success, refused, by_nodes)

    def _nodes(self) -> Iterator[Metric]:
        world, now_ps = self._shim.world, self._shim.clock.reach()
        running = GaugeMetricFamily("vllm:num_requests_running", "Sequences in the batch.", labels=MODEL)
        waiting = GaugeMetricFamily("vllm:num_requests_waiting", "Sequences that wait.", labels=MODEL)
        cache = GaugeMetricFamily("vllm:kv_cache_usage_perc", "Share of the KV blocks, 0 to 1.", labels=MODEL)
        preempted = CounterMetricFamily("vllm:num_preemptions", "Sequences preempted.", labels=MODEL)
        queue = GaugeMetricFamily("e80sim:flow_control_queue_size", "Wait at the gateway.", labels=MODEL)
        full = GaugeMetricFamily(
            "e80sim:flow_control_pool_saturation", "Requests inside, of those that may be.", labels=MODEL
        )
        for model in self._shim.models.values():
            pool = world.platform.pools[model.name]
            nodes = pool.nodes
            kernels = [node.kernel for node in nodes]
            blocks = world.kv_blocks[model.name] * pool.size
            batch = sum(kernel.running for kernel in kernels)
            running.add_metric([model.id], batch)
            waiting.add_metric([model.id], max(0, sum(node.outstanding for node in nodes) - batch))
            cache.add_metric([model.id], sum(kernel.blocks_in_use(now_ps) for kernel in kernels) / blocks)
            preempted.add_metric([model.id], sum(kernel.preemptions for kernel in kernels))
            flow = world.platform.gateway.admissions[model.name].flow
            if flow is not None:
                queue.add_metric([model.id], flow.waiting)
                full.add_metric([model.id], flow.inside / flow.capacity if flow.capacity else 1.0)
        yield from (running, waiting, cache, preempted, queue, full)

    def _ours(self) -> Iterator[Metric]:
        shim = self._shim
        lateness = shim.pacing.lateness
        yield HistogramMetricFamily(
            "e80sim:lateness_seconds",
            "How much later than simulated the server began to write.",
            _buckets(lateness, PS_PER_S),
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


def _buckets(histogram: Histogram, unit: int) -> list[tuple[str, float]]:
    """As Prometheus counts them: each holds all that is smaller."""
    reached, buckets = 0, []
    for bound, count in zip(histogram.bounds, histogram.counts, strict=False):
        reached += count
        buckets.append((f"{bound / unit:.9g}", float(reached)))
    return [*buckets, ("+Inf", float(histogram.total))]
