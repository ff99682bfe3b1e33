"""`/metrics`: vLLM's names, with buckets fine enough for an ASIC, and ours. All times are the model's."""

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from api_shim.clock import PS_PER_S, s_of_ps
from api_shim.lateness import BOUNDS_PS

if TYPE_CHECKING:
    from api_shim.exchange import Exchange
    from api_shim.shim import Shim

SECONDS = tuple(round(10 ** (step / 5), 10) for step in range(-30, 14))
"""From a microsecond to seven minutes, five to the decade: vLLM's own begin at a millisecond."""
TOKENS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000)
MODEL = ("model_name",)


class Metrics:
    def __init__(self, shim: "Shim") -> None:
        self.registry = registry = CollectorRegistry()

        def seconds(name: str, text: str) -> Histogram:
            return Histogram(f"vllm:{name}", text, MODEL, registry=registry, buckets=SECONDS)

        def tokens(name: str, text: str) -> Histogram:
            return Histogram(f"vllm:{name}", text, MODEL, registry=registry, buckets=TOKENS)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"vllm:{name}", text, (*MODEL, *labels), registry=registry)

        self._ttft = seconds("time_to_first_token_seconds", "From the gateway's door to the first token.")
        self._tpot = seconds("request_time_per_output_token_seconds", "Mean gap between tokens of a request.")
        self._e2e = seconds("e2e_request_latency_seconds", "From the gateway's door to the last token.")
        self._queue = seconds("request_queue_time_seconds", "From admission to the first step.")
        self._prefill = seconds("request_prefill_time_seconds", "From the first step to the first token.")
        self._decode = seconds("request_decode_time_seconds", "From the first token to the last.")
        self._inference = seconds("request_inference_time_seconds", "From the first step to the last token.")
        self._prompt = tokens("request_prompt_tokens", "Prompt tokens of a request.")
        self._generation = tokens("request_generation_tokens", "Output tokens of a request.")
        self._cap = tokens("request_params_max_tokens", "The cap that a request states.")
        self._n = tokens("request_params_n", "Completions that a request asks for.")
        self._prompt_total = counter("prompt_tokens", "Prompt tokens prefilled.")
        self._generation_total = counter("generation_tokens", "Output tokens made.")
        self._success = counter("request_success", "Requests answered.", "finished_reason")
        self._refused = Counter(
            "e80sim:requests_refused", "Requests not answered.", (*MODEL, "reason"), registry=registry
        )
        self._labelled = cache(lambda metric, *values: metric.labels(*values))
        self._shim = shim
        registry.register(Present(shim))

    def observe(self, exchange: "Exchange") -> None:
        """Once for each request, at its end."""
        call, name = exchange.call, exchange.model_id
        ticket, labelled = call.ticket, self._labelled
        if not exchange.answered or ticket is None:
            reason = call.refusal.cause if call.refusal is not None else call.reason or "cancelled"
            labelled(self._refused, name, reason).inc()
            return
        sequences = ticket.sequences
        arrived = ticket.departure.arrived_ps
        started = min(s.started_ps for s in sequences)
        first = min(s.first_ps for s in sequences)
        last = max(s.last_ps for s in sequences)
        output = sum(s.generated for s in sequences)
        request = call.request
        for histogram, span_ps in (
            (self._ttft, first - arrived),
            (self._e2e, last - arrived),
            (self._queue, started - ticket.admitted_ps),
            (self._prefill, first - started),
            (self._decode, last - first),
            (self._inference, last - started),
        ):
            labelled(histogram, name).observe(span_ps / PS_PER_S)
        each = output // len(sequences)
        if each > 1:
            labelled(self._tpot, name).observe((last - first) / (each - 1) / PS_PER_S)
        labelled(self._prompt, name).observe(request.prompt_tokens)
        labelled(self._generation, name).observe(output)
        labelled(self._n, name).observe(request.samples)
        if request.max_output_tokens is not None:
            labelled(self._cap, name).observe(request.max_output_tokens)
        labelled(self._prompt_total, name).inc(request.prompt_tokens)
        labelled(self._generation_total, name).inc(output)
        labelled(self._success, name, exchange.plan.finish_reason).inc()
        self._shim.pacing.ttft.observe(first - arrived)


class Present(Collector):
    """What is read off the model when somebody asks."""

    def __init__(self, shim: "Shim") -> None:
        self._shim = shim

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        shim = self._shim
        yield from self._nodes()
        lateness = shim.pacing.lateness
        reached, buckets = 0, []
        for bound_ps, count in zip(BOUNDS_PS, lateness.counts, strict=False):
            reached += count
            buckets.append((f"{s_of_ps(bound_ps):.9g}", reached))
        buckets.append(("+Inf", lateness.total))
        yield HistogramMetricFamily(
            "e80sim:lateness_seconds",
            "How much later than simulated the server began to write.",
            buckets,
            s_of_ps(lateness.sum_ps),
        )
        for name, text, value in (
            (
                "paced",
                "1 while wall time can be trusted: lateness p99 within 10 % of the TTFT p50.",
                shim.pacing.paced,
            ),
            ("speed", "Simulated seconds per second.", shim.clock.speed),
            ("streams", "Streams open.", shim.streams),
            ("flush_seconds", "Between two writes of a stream.", shim.settings.flush(shim.streams) / 1000),
            ("simulated_seconds", "Since the server began.", s_of_ps(shim.clock.now_ps())),
            ("requests_inside", "Requests submitted and not ended.", len(shim.world.platform.inside)),
        ):
            yield GaugeMetricFamily(f"e80sim:{name}", text, float(value))

    def _nodes(self) -> Iterator[Metric]:
        shim = self._shim
        running = GaugeMetricFamily("vllm:num_requests_running", "Sequences in the batch.", labels=MODEL)
        waiting = GaugeMetricFamily("vllm:num_requests_waiting", "Sequences that wait.", labels=MODEL)
        cache = GaugeMetricFamily(
            "vllm:kv_cache_usage_perc", "Share of the KV blocks taken, 0 to 1.", labels=MODEL
        )
        preempted = CounterMetricFamily("vllm:num_preemptions", "Sequences preempted.", labels=MODEL)
        for model in shim.models.values():
            kernels = [node.kernel for node in shim.world.platform.nodes[model.name]]
            blocks = shim.world.kv_blocks[model.name] * len(kernels)
            running.add_metric([model.id], sum(kernel.running for kernel in kernels))
            waiting.add_metric([model.id], sum(kernel.waiting for kernel in kernels))
            cache.add_metric([model.id], 1 - sum(kernel.free_blocks for kernel in kernels) / blocks)
            preempted.add_metric([model.id], sum(kernel.preemptions for kernel in kernels))
        yield from (running, waiting, cache, preempted)
