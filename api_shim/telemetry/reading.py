"""What `/metrics` shows by vLLM's names, of one engine: a node, or a model's pool seen as one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.utils import floatToGoString

from api_shim.clocks.histogram import Histogram
from api_shim.telemetry.kinds import KINDS

ENGINE = "0"
"""vLLM numbers the engines of one server; here each has a server of its own."""
LABELS = ("model_name", "engine")
QUEUE_LIMITS = ("max_num_queued_reqs", "max_num_queued_tokens")
"""Why a node refuses, by vLLM's names."""
COUNTERS = {
    "prompt_tokens": "Prompt tokens, those found in a cache included.",
    "generation_tokens": "Output tokens.",
    "prompt_tokens_cached": "Of the prompt tokens, found in a cache.",
    "prefix_cache_queries": "Prompt tokens looked for in prefix caches.",
    "prefix_cache_hits": "Those found.",
    "num_preemptions": "Sequences preempted.",
}
GAUGES = {
    "num_requests_running": "Sequences in the batch.",
    "num_requests_waiting": "Sequences that wait.",
    "kv_cache_usage_perc": "Share of the KV blocks, 0 to 1.",
}
BY_REASON = {
    "request_success": ("finished_reason", "Requests answered."),
    "admission_rejections": ("reason", "Requests that nodes refused."),
}
WAITING_BY_REASON = "num_requests_waiting_by_reason"


@dataclass(frozen=True, slots=True)
class Reading:
    model_name: str
    histograms: Mapping[str, Histogram]
    counters: Mapping[str, float]
    """A value for each of COUNTERS, and so on."""
    gauges: Mapping[str, float]
    by_reason: Mapping[str, Mapping[str, int]]
    waiting: Mapping[str, int]
    """Of those that wait, by reason: `capacity` of the batch, or `deferred` by work before they may enter."""
    cache_config: Mapping[str, str]

    @property
    def labels(self) -> list[str]:
        return [self.model_name, ENGINE]


def families(readings: Sequence[Reading]) -> Iterator[Metric]:
    yield from _histograms(readings)
    for name, text in COUNTERS.items():
        counter = CounterMetricFamily(f"vllm:{name}", text, labels=LABELS)
        for one in readings:
            counter.add_metric(one.labels, one.counters[name])
        yield counter
    for name, text in GAUGES.items():
        gauge = GaugeMetricFamily(f"vllm:{name}", text, labels=LABELS)
        for one in readings:
            gauge.add_metric(one.labels, one.gauges[name])
        yield gauge
    yield from _by_reason(readings)
    yield _cache_config(readings)


def _histograms(readings: Sequence[Reading]) -> Iterator[Metric]:
    for name, kind in KINDS.items():
        family = HistogramMetricFamily(f"vllm:{name}", kind.text, labels=LABELS)
        for one in readings:
            histogram = one.histograms[name]
            family.add_metric(one.labels, buckets(histogram, kind.unit), histogram.sum / kind.unit)
        yield family


def _by_reason(readings: Sequence[Reading]) -> Iterator[Metric]:
    for name, (label, text) in BY_REASON.items():
        counter = CounterMetricFamily(f"vllm:{name}", text, labels=(*LABELS, label))
        for one in readings:
            for reason, count in one.by_reason[name].items():
                counter.add_metric([*one.labels, reason], count)
        yield counter
    gauge = GaugeMetricFamily(
        f"vllm:{WAITING_BY_REASON}", "Sequences that wait, by why.", labels=(*LABELS, "reason")
    )
    for one in readings:
        for reason, count in one.waiting.items():
            gauge.add_metric([*one.labels, reason], count)
    yield gauge


def _cache_config(readings: Sequence[Reading]) -> Metric:
    labels = (*LABELS, *readings[0].cache_config)
    info = GaugeMetricFamily("vllm:cache_config_info", "The KV cache of a node.", labels=labels)
    for one in readings:
        info.add_metric([*one.labels, *one.cache_config.values()], 1)
    return info


def buckets(histogram: Histogram, unit: int) -> list[tuple[str, float]]:
    """As Prometheus counts them: each holds all that is smaller."""
    counts = accumulate(histogram.counts[:-1], initial=0.0)
    next(counts)
    found = list(zip(_edges(histogram.bounds, unit), counts, strict=True))
    return [*found, ("+Inf", float(histogram.total))]


@cache
def _edges(bounds: tuple[int, ...], unit: int) -> tuple[str, ...]:
    """As Prometheus's Python client writes them, hence vLLM. There are few kinds of histograms."""
    seconds = (float(f"{bound / unit:.9g}") for bound in bounds)
    return tuple(floatToGoString(edge) for edge in seconds)  # type: ignore[no-untyped-call]
