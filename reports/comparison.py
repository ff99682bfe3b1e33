"""What a variant changes against the baseline: paired by replication, which share their random numbers."""

from collections.abc import Sequence
from typing import Any

from reports.columns import Floats
from reports.differences import difference_of_means, difference_of_quantiles
from reports.group import Group
from reports.metrics import PROBABILITIES, REQUEST_METRICS
from reports.not_served import served_by_both
from reports.statistics import Answer, Samples

COMPARED = ("felt", "ttft", "e2e")
TTFT_S = REQUEST_METRICS["ttft"]
QUANTILES = ("p50", "p95", "p99")


def differences(baseline: Sequence[Group], variant: Sequence[Group]) -> list[dict[str, Any]]:
    """Seconds, variant less baseline, for every source that both have."""
    known = {group.source["name"]: group for group in baseline}
    return [
        {
            "source": name,
            "metric": {metric: _metric(known[name], group, metric) for metric in COMPARED},
            **_of_both(known[name], group),
        }
        for group in variant
        if (name := group.source["name"]) in known
    ]


def _of_both(base: Group, other: Group) -> dict[str, Any]:
    """The difference on asks that both completed, where each completed others as well."""
    served = served_by_both(base, other)
    if served is None:
        return {}
    sides = (base, served[0]), (other, served[1])
    felt = [group.sampled(group.completed_asks.take(rows), _felt_s(group)[rows]) for group, rows in sides]
    found = {"felt": _differences(*felt)}
    if base.users is None and other.users is None:
        done = [group.completed.take(rows) for group, rows in sides]
        first = [group.sampled(one, TTFT_S(one)) for (group, _), one in zip(sides, done, strict=True)]
        found["ttft"] = _differences(*first)
    return {
        "both": {
            "completed": int(served[0].sum()),
            "only_baseline": int((~served[0]).sum()),
            "only_variant": int((~served[1]).sum()),
            "metric": found,
        }
    }


def _felt_s(group: Group) -> Floats:
    """Of its completed asks; none is NaN."""
    return group.samples["felt"].values


def _metric(base: Group, other: Group, metric: str) -> dict[str, Any]:
    return _differences(base.samples[metric], other.samples[metric])


def _differences(first: Samples, second: Samples) -> dict[str, Any]:
    found = {"mean": _json(*difference_of_means(first, second))}
    for name in QUANTILES:
        found[name] = _json(*difference_of_quantiles(first, second, PROBABILITIES[name]))
    return found


def _json(answer: Answer, variance_reduction: float | None) -> dict[str, Any]:
    return {**answer.as_json(), "variance_reduction": variance_reduction}
