"""What a run says of an endpoint, as hypotheses: mean, median and p95 of its latencies under its load."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from api_shim.probe.against.decide import Span
from reports.columns import Columns, Floats
from reports.metrics import REQUEST_METRICS

METRICS = {"ttft": "TTFT", "tpot": "time per token", "e2e": "end-to-end time"}
STATISTICS = ("mean", "p50", "p95")
MS_PER_S = 1e3


@dataclass(frozen=True, eq=False)
class Hypothesis:
    name: str
    """H1, H2 ..."""
    source: str
    metric: str
    statistic: str
    value_ms: float
    band: Span
    """ms"""
    rate_per_s: float
    run_values: Floats
    """ms, of the run's requests in the order of their sending: what an endpoint that is as the run has."""

    @property
    def sentence(self) -> str:
        return (
            f"{self.name}: {METRICS[self.metric]} {self.statistic} of {self.source} at {self.rate_per_s:.3g} "
            f"requests/s lies in {self.band.low:.3g} to {self.band.high:.3g} ms"
        )


def hypotheses_of(
    groups: Mapping[str, Mapping[str, Any]], requests: Columns, rate_per_s: float, tolerance: float
) -> tuple[list[Hypothesis], list[str]]:
    """Those that the run can make, and a sentence for each number that it cannot give.

    `groups` are those of a variant in summary.json by source, `requests` its rows. A band reaches as far
    beyond the run's own interval as `tolerance`, a share.
    """
    found: list[Hypothesis] = []
    left_out: list[str] = []
    for source, group in groups.items():
        values = values_of(requests, source)
        for metric, statistic, entry in _entries(group):
            if "refused" in entry:
                left_out.append(f"nothing on {metric} {statistic} of {source}: {entry['refused']}")
                continue
            low, high = (
                entry[end] if entry.get(end) is not None else entry["value"] for end in ("low", "high")
            )
            band = Span(MS_PER_S * low * (1 - tolerance), MS_PER_S * high * (1 + tolerance))
            name = f"H{len(found) + 1}"
            value_ms = MS_PER_S * entry["value"]
            found.append(
                Hypothesis(name, source, metric, statistic, value_ms, band, rate_per_s, values[metric])
            )
    return found, left_out


def _entries(group: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for metric in METRICS:
        for statistic in STATISTICS:
            yield metric, statistic, group["metrics"][metric][statistic]


def values_of(requests: Columns, source: str) -> dict[str, Floats]:
    """In ms by metric, of the completed requests."""
    mine = requests.take(requests.labelled("source", source) & requests.outcome("completed"))
    mine = mine.take(np.lexsort((mine["sent_ps"], mine["replication"])))
    found = {metric: MS_PER_S * REQUEST_METRICS[metric](mine) for metric in METRICS}
    return {metric: values[~np.isnan(values)] for metric, values in found.items()}
