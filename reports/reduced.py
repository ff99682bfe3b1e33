"""What a study keeps of a run: a few kilobytes of numbers with their intervals, and no tables.

Headline numbers come with their values by replication: cells that share random numbers can be paired.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from reports.cost import costs_json
from reports.group import Group, asks_of
from reports.lifetimes import NodeCount, paid_nodes
from reports.metrics import PROBABILITIES, Window
from reports.quantile_intervals import quantile_answers
from reports.rates import counts_json, nodes_json, rates_json
from reports.sample_size import requests_needed
from reports.statistics import Answer, Estimate, Samples, mean, quantiles
from reports.tables import RunTables
from reports.variant_records import VariantRecords, variant_records
from reports.verdict import verdict
from reports.words import rounded

METRICS = ("ttft", "tpot", "e2e", "felt", "queue")
STATISTICS = ("mean", *PROBABILITIES)
Json = dict[str, Any]


def reduced(tables: RunTables, facts: Mapping[str, Any], window: Window) -> Json:
    """Of the only variant of a run. Seconds; estimates as in summary.json.

    Sources with the metrics of METRICS, rates, nodes and costs of each model, and whether it kept up.
    """
    (records,) = variant_records(tables, facts, window).values()
    replications, requests = records.replications, records.requests
    paid = paid_nodes(records.nodes, records.lifetimes, window, replications)
    return {
        "replications": len(replications),
        "window_s": [window.start_ps / 1e12, window.end_ps / 1e12],
        "verdict": _verdict(records, facts, window),
        "counts": counts_json(requests, window),
        "rates": rates_json(requests, asks_of(records.groups), window, replications),
        "models": nodes_json(requests, records.busy, records.nodes, paid, window, replications),
        "work": _work(records, paid, window),
        "prices": {name: model["prices"] for name, model in facts["models"].items() if "prices" in model},
        "costs": costs_json(requests, records.busy, paid, facts["models"], window, replications),
        "sources": [_source(group) for group in records.groups],
    }


def _verdict(records: VariantRecords, facts: Mapping[str, Any], window: Window) -> Json:
    nodes = paid_nodes(records.nodes, records.lifetimes, window.second_half, records.replications)
    arrivals = {source["name"]: source["arrivals"] for source in facts["sources"]}
    return verdict(records.requests, records.busy, nodes, arrivals, window, records.replications).as_json()


def _work(records: VariantRecords, paid: Mapping[str, NodeCount], window: Window) -> list[Json]:
    """What each model completed per second and node that was paid for, in the mean of all replications."""
    requests, ended = records.requests, records.requests["ended_ps"]
    done = requests.outcome("completed") & (ended >= window.start_ps) & (ended < window.end_ps)
    rows = []
    for model, nodes in paid.items():
        mine = done & requests.labelled("model", model)
        span_s = window.length_s * len(records.replications)
        row: Json = {"model": model, "paid_nodes": float(np.mean(nodes))}
        for name in ("prompt_tokens", "cached_tokens", "output_tokens"):
            row[f"{name}_per_s"] = float(requests[name][mine].clip(0).sum()) / span_s
        rows.append({**row, "requests_per_s": int(mine.sum()) / span_s})
    return rows


def _source(group: Group) -> Json:
    return {
        **{key: group.source[key] for key in ("name", "tenant", "place", "model")},
        "counts": counts_json(group.everything, group.window),
        "attainment": group.share_met.as_json(),
        "metrics": _metrics(group.samples),
    }


def _metrics(samples: Mapping[str, Samples]) -> Json:
    found = {name: _metric(samples[name]) for name in METRICS if name != "felt"}
    # Without an app it is what the caller waits.
    return found | {"felt": found["e2e"] if samples["felt"] is samples["e2e"] else _metric(samples["felt"])}


def _metric(samples: Samples) -> Json:
    asked = [name for name in STATISTICS if name != "mean"]
    answers = quantile_answers(samples, [PROBABILITIES[name] for name in asked])
    named = dict(zip(STATISTICS, [mean(samples), *answers], strict=True))
    return {
        name: {**answer.as_json(), "by_replication": _each(samples, name, answer)}
        for name, answer in named.items()
    }


def _each(samples: Samples, statistic: str, whole: Answer) -> list[float | None]:
    """By replication; None where one has too few requests for it. Of a single one it is that of the whole."""
    if len(samples.replications) == 1:
        return [_digits(whole.value) if isinstance(whole, Estimate) else None]
    parts = [samples.of_replications(i, i + 1) for i in range(len(samples.replications))]
    probability = PROBABILITIES.get(statistic)
    needed = 1 if probability is None else requests_needed(probability)
    return [
        None
        if len(part) < needed
        else _digits(part.mean() if probability is None else quantiles(part, [probability])[0])
        for part in parts
    ]


def _digits(value: float) -> float:
    """Nine significant digits: far more than any interval leaves, in half of the bytes."""
    return rounded(value, 9)
