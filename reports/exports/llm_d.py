"""llm-d's Benchmark Report 0.2.1 as YAML: what a run asked, got and took, by its schema.

The schema has no place for intervals, objectives or cost.
"""

from collections.abc import Iterator
from typing import Any

import yaml

from e80sim.measured import MeasuredRequests
from e80sim.plain_yaml import Dumper
from reports.columns import Floats
from reports.exports.answers import About
from reports.exports.spread import known, quantiles, totals

SCHEMA = "0.2.1"
PERCENTS = {
    "p0p1": 0.1,
    "p1": 1,
    "p5": 5,
    "p10": 10,
    "p25": 25,
    "p50": 50,
    "p75": 75,
    "p90": 90,
    "p95": 95,
    "p99": 99,
    "p99p9": 99.9,
}


def report_yaml(requests: MeasuredRequests, about: About) -> Iterator[str]:
    of, answered = totals(requests), requests.answered
    inputs, outputs = (
        known(row.input_tokens for row in answered),
        known(row.output_tokens for row in answered),
    )
    latency = {
        "time_to_first_token": ("ms", known(row.ttft_ms for row in answered)),
        "time_per_output_token": ("ms/token", known(row.tpot_ms for row in answered)),
        "request_latency": ("ms", known(row.e2e_ms for row in answered)),
    }
    rates = {
        "input_token_rate": ("tokens/s", of.input_tokens / of.duration_s),
        "output_token_rate": ("tokens/s", of.output_tokens / of.duration_s),
        "total_token_rate": ("tokens/s", (of.input_tokens + of.output_tokens) / of.duration_s),
        "request_rate": ("queries/s", of.answered / of.duration_s),
    }
    document: dict[str, Any] = {
        "version": SCHEMA,
        "run": {
            "uid": f"{about.scenario}-{about.seed}",
            "time": {"start": about.created.isoformat(), "duration": f"PT{of.duration_s:.6f}S"},
            "description": f"{about.scenario}, simulated",
        },
        "scenario": {"stack": [_engine(about)], "load": _load(inputs, outputs, about)},
        "results": {
            "request_performance": {
                "aggregate": {
                    "requests": {
                        "total": of.answered + of.failed,
                        "failures": of.failed,
                        "incomplete": 0,
                        "input_length": _spread("count", inputs),
                        "output_length": _spread("count", outputs),
                    },
                    "latency": {name: _spread(unit, of) for name, (unit, of) in latency.items() if len(of)},
                    "throughput": {
                        name: {"units": unit, "mean": rate} for name, (unit, rate) in rates.items()
                    },
                }
            }
        },
    }
    text = yaml.dump(document, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=110)
    yield from text.rstrip("\n").split("\n")


def _engine(about: About) -> dict[str, Any]:
    tool, _, version = about.version.partition(" ")
    return {
        "metadata": {"label": "simulated", "cfg_id": about.scenario},
        "standardized": {
            "kind": "generic",
            "tool": tool,
            "tool_version": version,
        },
        "native": {"config": {"model": about.model, "seed": about.seed}},
    }


def _load(inputs: Floats, outputs: Floats, about: About) -> dict[str, Any]:
    tool, _, version = about.version.partition(" ")
    return {
        "metadata": {"cfg_id": about.scenario},
        "standardized": {
            "tool": tool,
            "tool_version": version,
            "source": "unknown",
            "input_seq_len": _lengths(inputs),
            "output_seq_len": _lengths(outputs),
        },
        "native": {"config": {"seed": about.seed}},
    }


def _lengths(values: Floats) -> dict[str, Any]:
    if not len(values):
        return {"distribution": "other", "value": 0}
    fixed = values.min() == values.max()
    found = {"distribution": "fixed" if fixed else "other", "value": float(values.mean())}
    return found if fixed else found | {"min": int(values.min()), "max": int(values.max())}


def _spread(unit: str, values: Floats) -> dict[str, Any]:
    if not len(values):
        return {"units": unit, "mean": 0.0}
    at = dict(zip(PERCENTS, quantiles(values, list(PERCENTS.values())), strict=True))
    ends = {"min": float(values.min()), "max": float(values.max())}
    return {"units": unit, "mean": float(values.mean()), "stddev": float(values.std()), **ends, **at}


def losses(_requests: MeasuredRequests) -> Iterator[str]:
    yield "The report has no place for intervals, objectives and cost: they stay in summary.json."
