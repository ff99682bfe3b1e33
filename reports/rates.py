"""Counts and flows of one variant: offered, carried, rejected, Little's law, and what its nodes did."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from reports.busy import busy_share
from reports.columns import Columns, Floats, Ints, Mask
from reports.metrics import REJECTED, Window
from reports.record import OUTCOMES, PS_PER_S
from reports.statistics import Answer, Estimate, Refused, Samples, interval_of, mean, share

SLICES = 300
"""With one replication a rate is a series of counts over so many slices of the window, for batch means."""


class Asks(NamedTuple):
    """What users asked for in the window, by replication and time, and whether they got it in time."""

    at_ps: Ints
    replication: Ints
    met: Mask


def counts_json(columns: Columns, window: Window) -> dict[str, int]:
    """All replications together: each outcome of the offered, and all who are left at the horizon."""
    tally = np.bincount(columns["outcome"][window.offered(columns)], minlength=len(OUTCOMES))
    left = int(columns.outcome("unfinished").sum())
    return {
        "offered": int(tally.sum()),
        **dict(zip(OUTCOMES, tally.tolist(), strict=True)),
        "in_system_at_end": left,
    }


def rates_json(columns: Columns, asks: Asks, window: Window, replications: Sequence[int]) -> dict[str, Any]:
    offered = columns.take(window.offered(columns))
    ended = (columns["ended_ps"] >= window.start_ps) & (columns["ended_ps"] < window.end_ps)
    carried = columns.take(ended & columns.outcome("completed"))
    refused = offered.take(np.isin(offered["outcome"], [OUTCOMES.index(name) for name in REJECTED]))
    met = asks.met.astype(np.float64)

    def rate(at_ps: Ints, replication: Ints, weights: Floats | None = None) -> Answer:
        return _rate(at_ps, replication, weights, window, replications)

    answers = {
        "offered_per_s": rate(offered["intended_ps"], offered["replication"]),
        "carried_per_s": rate(carried["ended_ps"], carried["replication"]),
        "rejected_per_s": rate(refused["intended_ps"], refused["replication"]),
        "asked_per_s": rate(asks.at_ps, asks.replication),
        "goodput_per_s": rate(asks.at_ps, asks.replication, met),
        "attainment": share(Samples.of(met, asks.replication, replications)),
        "output_tokens_per_s": rate(
            carried["ended_ps"], carried["replication"], carried["output_tokens"].astype(np.float64)
        ),
    }
    return {name: answer.as_json() for name, answer in answers.items()}


def _rate(
    at_ps: Ints, replication: Ints, weights: Floats | None, window: Window, replications: Sequence[int]
) -> Answer:
    """Events per second, each counted `weights` times. `n` counts the events."""
    if len(replications) > 1:
        row = np.searchsorted(replications, replication)
        totals = np.bincount(row, weights, len(replications)) / window.length_s
        return interval_of(totals, len(at_ps)).within(0.0)
    width_ps = (window.end_ps - window.start_ps) / SLICES
    row = np.minimum((at_ps - window.start_ps) / width_ps, SLICES - 1).astype(np.int64)
    slices = np.bincount(row, weights, SLICES) * SLICES / window.length_s
    series = Samples.of(slices, np.full(SLICES, replications[0]), replications)
    answer = mean(series)
    assert isinstance(answer, Estimate)
    return replace(answer, n=len(at_ps)).within(0.0)


def little_json(columns: Columns, window: Window, replications: int) -> dict[str, float | None]:
    """L from the overlap of every stay with the window, against lambda W from the stays of the offered."""
    start, end = columns["intended_ps"], columns["ended_ps"]
    until = np.where(end < 0, window.end_ps, end)
    overlap = np.clip(until, window.start_ps, window.end_ps) - np.clip(start, window.start_ps, window.end_ps)
    span_s = window.length_s * replications
    present = float((overlap / PS_PER_S).sum()) / span_s
    offered = window.offered(columns)
    stays = (end - start)[offered & (end >= 0)] / PS_PER_S
    predicted = int(offered.sum()) / span_s * float(stays.mean()) if len(stays) else 0.0
    larger = max(present, predicted)
    return {
        "in_system": present,
        "arrival_rate_times_time": predicted,
        "relative_difference": (present - predicted) / larger if larger else 0.0,
    }


def pools(nodes: Columns) -> dict[str, int]:
    """How many nodes each model has."""
    return {
        model: len(np.unique(nodes["node"][nodes["model"] == code]))
        for code, model in enumerate(nodes.names["model"])
        if code in nodes["model"]
    }


def nodes_json(
    requests: Columns, nodes: Columns, window: Window, replications: Sequence[int]
) -> list[dict[str, Any]]:
    """A row per model; `n` counts replications."""
    return [
        _model_json(model, requests, nodes.take(nodes.labelled("model", model)), window, replications)
        for code, model in enumerate(nodes.names["model"])
        if code in nodes["model"]
    ]


def _model_json(
    model: str, requests: Columns, nodes: Columns, window: Window, replications: Sequence[int]
) -> dict[str, Any]:
    def total(column: str) -> Floats:
        row = np.searchsorted(replications, nodes["replication"])
        return np.bincount(row, nodes[column].astype(np.float64), len(replications)).astype(np.float64)

    count = len(np.unique(nodes["node"]))
    busy = total("busy_ps")
    worked = busy > 0
    mine = requests.labelled("model", model)
    batch = total("sequence_ps")[worked] / busy[worked]
    return {
        "model": model,
        "nodes": count,
        "utilisation": _over(busy_share(requests, mine, count, window, replications)).as_json(),
        "batch": _over(batch).as_json(),
        "preemptions": _over(total("preemptions")).as_json(),
    }


def _over(values: Floats) -> Answer:
    """One value per replication."""
    if not len(values):
        return Refused("The nodes did no work.")
    if len(values) == 1:
        return Estimate(float(values[0]), None, None, 1, "One replication: one value, and so no interval.")
    return interval_of(values, len(values)).within(0.0)
