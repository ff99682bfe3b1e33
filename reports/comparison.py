"""What a variant changes against the baseline: paired by replication, which share their random numbers."""

from collections.abc import Sequence
from typing import Any

from reports.differences import difference_of_means, difference_of_quantiles
from reports.group import Group
from reports.metrics import PROBABILITIES
from reports.statistics import Answer

COMPARED = ("felt", "ttft", "e2e")
QUANTILES = ("p50", "p95", "p99")


def differences(baseline: Sequence[Group], variant: Sequence[Group]) -> list[dict[str, Any]]:
    """Seconds, variant less baseline, for every source that both have."""
    known = {group.source["name"]: group for group in baseline}
    return [
        {"source": name, "metric": {metric: _metric(known[name], group, metric) for metric in COMPARED}}
        for group in variant
        if (name := group.source["name"]) in known
    ]


def _metric(base: Group, other: Group, metric: str) -> dict[str, Any]:
    first, second = base.samples[metric], other.samples[metric]
    found = {"mean": _json(*difference_of_means(first, second))}
    for name in QUANTILES:
        found[name] = _json(*difference_of_quantiles(first, second, PROBABILITIES[name]))
    return found


def _json(answer: Answer, variance_reduction: float | None) -> dict[str, Any]:
    return {**answer.as_json(), "variance_reduction": variance_reduction}
