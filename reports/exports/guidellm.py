"""GuideLLM's JSON report (0.8, metadata.version 2) of one benchmark."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from e80sim.measured import MeasuredRequest, MeasuredRequests
from reports.columns import Floats
from reports.exports.answers import About
from reports.exports.spread import MS_PER_S, known, quantiles, totals

PERCENTS = {
    "p001": 0.1,
    "p01": 1,
    "p05": 5,
    "p10": 10,
    "p25": 25,
    "p50": 50,
    "p75": 75,
    "p90": 90,
    "p95": 95,
    "p99": 99,
    "p999": 99.9,
}


def lines(requests: MeasuredRequests, about: About) -> Iterator[str]:
    start_s = about.created.timestamp()
    of = totals(requests)
    benchmark = {
        "type_": "generative_benchmark",
        "config": {
            "strategy": {"type_": "async"},
            "backend": {"type_": "openai_http", "model": about.model},
        },
        "metrics": _metrics(requests),
        "requests": {
            "successful": [_request(row, start_s) for row in requests.answered],
            "incomplete": [],
            "errored": [_request(row, start_s) for row in requests.rows if row.error is not None],
        },
        "start_time": start_s,
        "end_time": start_s + of.duration_s,
        "duration": of.duration_s,
        "warmup_duration": 0.0,
        "cooldown_duration": 0.0,
    }
    metadata = {"version": 2, "guidellm_version": about.version}
    yield json.dumps(
        {
            "metadata": metadata,
            "config": {"spec": {"backend": {"model": about.model}, "data": [_data(requests)]}},
            "benchmarks": [benchmark],
            "conclusions": [],
        }
    )


def _data(requests: MeasuredRequests) -> dict[str, Any]:
    """Where the tool has the settings of its prompts: their mean lengths."""
    of = totals(requests)
    each = max(of.answered, 1)
    return {
        "kind": "simulated",
        "prompt_tokens": of.input_tokens / each,
        "output_tokens": of.output_tokens / each,
    }


def _request(row: MeasuredRequest, start_s: float) -> dict[str, Any]:
    sent_s = start_s + row.arrival_s
    end_s = sent_s + (row.e2e_ms or 0.0) / MS_PER_S
    whole_ms = row.e2e_ms
    return {
        "type_": "generative_request_stats",
        "request_id": f"e80sim-{sent_s:.6f}",
        "info": {"status": "completed" if row.error is None else "errored", "error": row.error},
        "request_start_time": sent_s,
        "request_end_time": end_s,
        "request_latency": None if whole_ms is None else whole_ms / MS_PER_S,
        "prompt_tokens": row.input_tokens,
        "cached_tokens": row.cached_tokens,
        "output_tokens": row.output_tokens,
        "total_tokens": row.input_tokens + row.output_tokens,
        "time_to_first_token_ms": row.ttft_ms,
        "time_per_output_token_ms": None if whole_ms is None else whole_ms / max(row.output_tokens, 1),
        "inter_token_latency_ms": row.tpot_ms,
    }


def _metrics(requests: MeasuredRequests) -> dict[str, Any]:
    of, answered = totals(requests), requests.answered
    metrics: dict[str, Any] = {
        "request_totals": {
            "successful": of.answered,
            "incomplete": 0,
            "errored": of.failed,
            "total": of.answered + of.failed,
        }
    }
    rates = {
        "requests_per_second": of.answered,
        "prompt_tokens_per_second": of.input_tokens,
        "output_tokens_per_second": of.output_tokens,
        "tokens_per_second": of.input_tokens + of.output_tokens,
    }
    values: dict[str, Sequence[float | None]] = {
        **{name: [amount / of.duration_s] for name, amount in rates.items()},
        "request_latency": [_seconds(row.e2e_ms) for row in answered],
        "prompt_token_count": [row.input_tokens for row in answered],
        "output_token_count": [row.output_tokens for row in answered],
        "total_token_count": [row.input_tokens + row.output_tokens for row in answered],
        "time_to_first_token_ms": [row.ttft_ms for row in answered],
        "time_per_output_token_ms": [_with_the_first(row) for row in answered],
        "inter_token_latency_ms": [row.tpot_ms for row in answered],
    }
    return metrics | {name: _by_status(known(of)) for name, of in values.items()}


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else ms / MS_PER_S


def _with_the_first(row: MeasuredRequest) -> float | None:
    """What GuideLLM means by the time per output token."""
    return None if row.e2e_ms is None else row.e2e_ms / max(row.output_tokens, 1)


def _by_status(values: Floats) -> Mapping[str, Any]:
    nobody = _spread(known([]))
    return {
        "successful": _spread(values),
        "incomplete": nobody,
        "errored": nobody,
        "total": _spread(values),
    }


def _spread(values: Floats) -> dict[str, Any]:
    there = len(values) > 0
    at = dict(zip(PERCENTS, quantiles(values, list(PERCENTS.values())), strict=True))
    return {
        "mean": float(values.mean()) if there else 0.0,
        "median": at["p50"],
        "mode": at["p50"],
        "variance": float(values.var()) if there else 0.0,
        "std_dev": float(values.std()) if there else 0.0,
        "min": float(values.min()) if there else 0.0,
        "max": float(values.max()) if there else 0.0,
        "count": len(values),
        "total_sum": float(values.sum()),
        "percentiles": at,
    }
