"""Inter-token latency of a model: from counts of gaps by length, since nobody lists a billion tokens."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from reports.columns import Columns, Ints
from reports.record import PS_PER_S
from reports.sample_size import requests_needed
from reports.statistics import Answer, Refused, name_of, ratio_of

PROBABILITIES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
NO_GAPS = "There were no gaps: no request made a second token in the window."


class Gaps(NamedTuple):
    """Of one replication, by ascending length."""

    mean_ps: Ints
    number: Ints

    @property
    def total(self) -> int:
        return int(self.number.sum())

    @property
    def sum_s(self) -> float:
        return float(self.number @ (self.mean_ps / PS_PER_S))

    def quantile_s(self, probability: float) -> float:
        """The shortest gap that this share of the gaps does not exceed, to 0.2 % where bins are wide."""
        at = int(np.searchsorted(np.cumsum(self.number), probability * self.total))
        return float(self.mean_ps[at]) / PS_PER_S


def itl_json(gaps: Columns, replications: Sequence[int]) -> list[dict[str, Any]]:
    """A row per model."""
    return [
        _model_json(model, gaps.take(gaps["model"] == code), replications)
        for code, model in enumerate(gaps.names["model"])
        if code in gaps["model"]
    ]


def _model_json(model: str, gaps: Columns, replications: Sequence[int]) -> dict[str, Any]:
    parts = [_of_replication(gaps, replication) for replication in replications]
    parts = [part for part in parts if part.total]
    count = sum(part.total for part in parts)
    answers = {"mean": _mean(parts, count)}
    for name, probability in PROBABILITIES.items():
        answers[name] = _quantile(parts, probability, count)
    return {"model": model, "gaps": count, **{name: answer.as_json() for name, answer in answers.items()}}


def _of_replication(gaps: Columns, replication: int) -> Gaps:
    mine = gaps.take(gaps["replication"] == replication)
    order = np.argsort(mine["from_ps"])
    return Gaps(mine["mean_ps"][order], mine["gaps"][order])


def _mean(parts: Sequence[Gaps], count: int) -> Answer:
    if not parts:
        return Refused(NO_GAPS)
    totals = np.array([part.total for part in parts], np.float64)
    return replace(ratio_of(np.array([part.sum_s for part in parts]), totals), n=count)


def _quantile(parts: Sequence[Gaps], probability: float, count: int) -> Answer:
    needed = requests_needed(probability)
    if min((part.total for part in parts), default=0) < needed:
        least = f"at least {needed:,} gaps in each replication"
        return Refused(f"A {name_of(probability)} of the gaps needs {least}; there are {count:,} in all.")
    return _over([part.quantile_s(probability) for part in parts], count)


def _over(values: Sequence[float], count: int) -> Answer:
    if not values:
        return Refused(NO_GAPS)
    return replace(ratio_of(np.array(values), np.ones(len(values))), n=count)
