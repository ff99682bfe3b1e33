"""AIPerf's two files (0.13): a JSON object per request, and the summary with schema_version 1.4."""

import json
from collections.abc import Iterator
from typing import Any

from e80sim.measured import MeasuredRequest, MeasuredRequests
from reports.columns import Floats
from reports.exports.answers import NS_PER_S, About
from reports.exports.spread import MS_PER_S, known, quantiles, totals

SCHEMA = "1.4"
PERCENTS = (1, 5, 10, 25, 50, 75, 90, 95, 99)


def record_lines(requests: MeasuredRequests, about: About) -> Iterator[str]:
    """profile_export.jsonl."""
    for number, row in enumerate(requests.rows):
        start_ns = about.created_ns + round(row.arrival_s * NS_PER_S)
        end_ns = start_ns + round((row.e2e_ms or 0.0) / MS_PER_S * NS_PER_S)
        metadata = {
            "session_num": number,
            "x_request_id": f"e80sim-{number}",
            "x_correlation_id": f"e80sim-{number}",
            "conversation_id": f"session_{number:06d}",
            "turn_index": 0,
            "request_start_ns": start_ns,
            "request_ack_ns": None,
            "request_end_ns": end_ns,
            "worker_id": "e80sim",
            "record_processor_id": "e80sim",
            "benchmark_phase": "profiling",
            "was_cancelled": row.error == "cancelled",
            "cancellation_time_ns": None,
        }
        error = None if row.error is None else {"code": None, "type": row.error, "message": row.error}
        yield json.dumps({"metadata": metadata, "metrics": dict(_metrics(row)), "error": error})


def _metrics(row: MeasuredRequest) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "input_sequence_length", {"value": row.input_tokens, "unit": "tokens"}
    if row.error is not None:
        return
    yield "output_sequence_length", {"value": row.output_tokens, "unit": "tokens"}
    for name, value in (
        ("time_to_first_token", row.ttft_ms),
        ("inter_token_latency", row.tpot_ms),
        ("request_latency", row.e2e_ms),
    ):
        if value is not None:
            yield name, {"value": value, "unit": "ms"}
    if row.itl_ms:
        yield "inter_chunk_latency", {"value": list(row.itl_ms), "unit": "ms"}
    if row.cached_tokens is not None:
        yield "usage_prompt_cache_read_tokens", {"value": row.cached_tokens, "unit": "tokens"}


def summary_lines(requests: MeasuredRequests, about: About) -> Iterator[str]:
    """profile_export_aiperf.json."""
    of, answered = totals(requests), requests.answered
    errors = [row.error for row in requests.rows if row.error is not None]
    document: dict[str, Any] = {
        "schema_version": SCHEMA,
        "aiperf_version": about.version,
        "benchmark_id": about.scenario,
        "input_config": {
            "endpoint": {"model_names": [about.model], "type": "chat", "streaming": True},
            "loadgen": {"request_count": len(requests.rows)},
        },
        "was_cancelled": False,
        "error_summary": [
            {"error_details": {"code": None, "type": name, "message": name}, "count": errors.count(name)}
            for name in sorted(set(errors))
        ],
        "start_time": about.created.isoformat(),
        "request_count": _single(of.answered, "requests"),
        "request_throughput": _single(of.answered / of.duration_s, "requests/sec"),
        "benchmark_duration": _single(of.duration_s, "sec"),
        "output_token_throughput": _single(of.output_tokens / of.duration_s, "tokens/sec"),
        "total_token_throughput": _single((of.input_tokens + of.output_tokens) / of.duration_s, "tokens/sec"),
    }
    spreads = {
        "request_latency": ("ms", known(row.e2e_ms for row in answered)),
        "time_to_first_token": ("ms", known(row.ttft_ms for row in answered)),
        "inter_token_latency": ("ms", known(row.tpot_ms for row in answered)),
        "input_sequence_length": ("tokens", known(row.input_tokens for row in answered)),
        "output_sequence_length": ("tokens", known(row.output_tokens for row in answered)),
    }
    document |= {name: _spread(unit, values) for name, (unit, values) in spreads.items() if len(values)}
    yield json.dumps(document, indent=2)


def _single(value: float, unit: str) -> dict[str, Any]:
    return {"unit": unit, "avg": value}


def _spread(unit: str, values: Floats) -> dict[str, Any]:
    at = {f"p{percent}": value for percent, value in zip(PERCENTS, quantiles(values, PERCENTS), strict=True)}
    return {
        "unit": unit,
        "avg": float(values.mean()),
        **at,
        "min": float(values.min()),
        "max": float(values.max()),
        "std": float(values.std()),
        "count": len(values),
        "sum": float(values.sum()),
    }
