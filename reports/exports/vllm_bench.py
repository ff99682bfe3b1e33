"""What `vllm bench serve --save-result --save-detailed` would have saved (vllm 0.33, benchmarks/serve.py)."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from e80sim.measured import MeasuredRequests
from reports.columns import Floats
from reports.exports.answers import About
from reports.exports.spread import MS_PER_S, gaps_ms, known, quantiles, totals

PERCENTS = (1, 5, 10, 25, 50, 75, 90, 95, 99)
FIRST_S = 1.0
"""Of a clock with any origin; 0 is what the tool has of a request that it never stamped."""


def lines(requests: MeasuredRequests, about: About) -> Iterator[str]:
    rows, gaps = requests.rows, gaps_ms(requests)
    per_request = {
        "input_lens": [row.input_tokens for row in rows],
        "output_lens": [0 if row.error else row.output_tokens for row in rows],
        "ttfts": [(row.ttft_ms or 0.0) / MS_PER_S for row in rows],
        "itls": [[gap / MS_PER_S for gap in of_one] for of_one in gaps],
        "latencies": [(row.e2e_ms or 0.0) / MS_PER_S for row in rows],
        "start_times": [FIRST_S + row.arrival_s for row in rows],
        "queue_times": [0.0] * len(rows),
        "generated_texts": [""] * len(rows),
        "errors": [row.error or "" for row in rows],
    }
    yield json.dumps(
        {**_envelope(requests, about), **_sums(requests), **per_request, **_spreads(requests, gaps)}
    )


def _envelope(requests: MeasuredRequests, about: About) -> dict[str, Any]:
    return {
        "date": f"{about.created:%Y%m%d-%H%M%S}",
        "endpoint_type": "openai-chat",
        "backend": "openai-chat",
        "label": about.version,
        "model_id": about.model,
        "tokenizer_id": about.model,
        "num_prompts": len(requests.rows),
        "request_rate": "inf",
        "burstiness": 1.0,
        "max_concurrency": None,
    }


def _sums(requests: MeasuredRequests) -> dict[str, Any]:
    of = totals(requests)
    return {
        "duration": of.duration_s,
        "completed": of.answered,
        "failed": of.failed,
        "total_input_tokens": of.input_tokens,
        "total_output_tokens": of.output_tokens,
        "request_throughput": of.answered / of.duration_s,
        "request_goodput": None,
        "output_throughput": of.output_tokens / of.duration_s,
        "total_token_throughput": (of.input_tokens + of.output_tokens) / of.duration_s,
    }


def _spreads(requests: MeasuredRequests, gaps: Sequence[Sequence[float]]) -> dict[str, float]:
    answered = requests.answered
    pooled = [
        gap for of_one, row in zip(gaps, requests.rows, strict=True) if row.error is None for gap in of_one
    ]
    values = {
        "ttft": known(row.ttft_ms for row in answered),
        "tpot": known(row.tpot_ms for row in answered),
        "itl": known(pooled),
        "e2el": known(row.e2e_ms for row in answered),
    }
    return {key: number for name, of in values.items() for key, number in _spread(name, of)}


def _spread(name: str, values: Floats) -> Iterator[tuple[str, float]]:
    yield f"mean_{name}_ms", float(values.mean()) if len(values) else 0.0
    yield f"median_{name}_ms", quantiles(values, [50])[0]
    yield f"std_{name}_ms", float(np.std(values)) if len(values) else 0.0
    for percent, number in zip(PERCENTS, quantiles(values, PERCENTS), strict=True):
        yield f"p{percent}_{name}_ms", number
