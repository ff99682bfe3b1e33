"""The few numbers that an answer is given in: mean, p50 and p95 of latencies, and attainment."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from reports.group import Group
from reports.metrics import PROBABILITIES, Window
from reports.quantile_intervals import quantile_answers
from reports.statistics import Answer, Estimate, mean
from reports.tables import RunTables
from reports.variant_records import variant_records

METRICS = ("felt", "ttft", "e2e")
STATISTICS = ("mean", "p50", "p95")
SHARE = "share"
"""The statistic of attainment."""
HEADLINES = (
    *((metric, statistic) for metric in METRICS for statistic in STATISTICS),
    ("attainment", SHARE),
)
"""In the order of a table."""


class Headline(NamedTuple):
    variant: str
    source: str
    metric: str
    statistic: str


Headlines = Mapping[Headline, float]
"""Seconds, or a share. What the data cannot carry is left out."""


def headlines(tables: RunTables, facts: Mapping[str, Any], window: Window) -> Headlines:
    return {
        Headline(variant, group.source["name"], metric, statistic): answer.value
        for variant, records in variant_records(tables, facts, window).items()
        for group in records.groups
        for (metric, statistic), answer in answers_of(group).items()
        if isinstance(answer, Estimate)
    }


def answers_of(group: Group) -> dict[tuple[str, str], Answer]:
    found = {(metric, name): answer_of(group, metric, name) for metric in METRICS for name in STATISTICS}
    return found | {("attainment", SHARE): group.share_met}


def answer_of(group: Group, metric: str, statistic: str) -> Answer:
    samples = group.samples[metric]
    return mean(samples) if statistic == "mean" else quantile_answers(samples, [PROBABILITIES[statistic]])[0]
