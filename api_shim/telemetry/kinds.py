"""The histograms of `/metrics`: vLLM's names, and its bucket edges among finer ones.

vLLM's edges begin at a millisecond, which tells nothing of an ASIC; without them a dashboard made for vLLM
would look for an `le` that is not there. They are those of vLLM 0.33 (`vllm/v1/metrics/buckets.py`,
`loggers.py`).
"""

from collections.abc import Iterable
from typing import NamedTuple

from api_shim.clocks.histogram import SPANS_PS, TOKENS
from sim.time.units import PS_PER_MS, PS_PER_S

FIRST_TOKEN_MS = (
    *(1, 5, 10, 20, 40, 60, 80, 100, 250, 500, 750),
    *(1000, 2500, 5000, 7500, 10_000, 20_000, 40_000, 80_000, 160_000, 640_000, 2_560_000),
)
BETWEEN_TOKENS_MS = (
    *(10, 25, 50, 75, 100, 150, 200, 300, 400, 500, 750),
    *(1000, 2500, 5000, 7500, 10_000, 20_000, 40_000, 80_000),
)
LATENCY_MS = (
    *(300, 500, 800, 1000, 1500, 2000, 2500, 5000, 10_000, 15_000, 20_000, 30_000, 40_000, 50_000, 60_000),
    *(120_000, 240_000, 480_000, 960_000, 1_920_000, 7_680_000),
)
STEP_TOKENS = (1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384)
FEW = (0, 1, 2, 5, 10, 20, 50, 100)


class HistogramKind(NamedTuple):
    text: str
    bounds: tuple[int, ...]
    unit: int
    """What a value is divided by to be shown."""


def _span(text: str, edges_ms: Iterable[int]) -> HistogramKind:
    return HistogramKind(text, tuple(sorted({*SPANS_PS, *(ms * PS_PER_MS for ms in edges_ms)})), PS_PER_S)


def _count(text: str, bounds: tuple[int, ...] = TOKENS) -> HistogramKind:
    return HistogramKind(text, bounds, 1)


OF_REQUESTS = {
    "time_to_first_token_seconds": _span("From arrival to the first token.", FIRST_TOKEN_MS),
    "request_time_per_output_token_seconds": _span(
        "Mean gap between the tokens of a request.", BETWEEN_TOKENS_MS
    ),
    "e2e_request_latency_seconds": _span("From arrival to the last token.", LATENCY_MS),
    "request_queue_time_seconds": _span("From admission to the first step.", LATENCY_MS),
    "request_prefill_time_seconds": _span("From the first step to the first token.", LATENCY_MS),
    "request_decode_time_seconds": _span("From the first token to the last.", LATENCY_MS),
    "request_inference_time_seconds": _span("From the first step to the last token.", LATENCY_MS),
    "request_prompt_tokens": _count("Prompt tokens of a request."),
    "request_generation_tokens": _count("Output tokens of a request."),
    "request_max_num_generation_tokens": _count("Of the longest of its completions."),
    "request_prefill_kv_computed_tokens": _count("Of its prompt, computed and not found in a cache."),
    "request_params_max_tokens": _count("The cap that a request states."),
    "request_params_n": _count("Completions that a request asks for."),
    "request_num_preemptions": _count("How often a request lost its KV blocks.", FEW),
}
OF_STEPS = {
    "inter_token_latency_seconds": _span("Gaps between consecutive tokens.", BETWEEN_TOKENS_MS),
    "iteration_tokens_total": _count(
        "Tokens that a step computes, of prompts and answers.", tuple(sorted({*TOKENS, *STEP_TOKENS}))
    ),
}
KINDS = OF_REQUESTS | OF_STEPS
