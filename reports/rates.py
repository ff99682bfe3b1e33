"""Counts and flows of one variant: offered, carried, rejected, Little's law, and what its nodes did."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from reports.attainment import Attainment
from reports.busy import Busy
from reports.columns import Columns, Floats, Ints, Mask
from reports.metrics import REJECTED, Window
from reports.record import OUTCOMES, PS_PER_S
from reports.statistics import Answer, Estimate, Refused, Samples, interval_of, mean, ratio_of

SLICES = 300
"""With one replication a rate is a series of counts over so many slices of the window, for batch means."""


class Asks(NamedTuple):
    """What users asked for in the window, by replication and time, and whether they got it in time."""

    at_ps: Ints
    replication: Ints
    good: Mask
    """Judged, and within every objective."""
    attainment: Attainment


def counts_json(columns: Columns, window: Window) -> dict[str, int]:
    """All replications together: outcomes of the offered, and all who are in the system at the horizon."""
    ended = columns["ended_ps"]
    inside = (columns["intended_ps"] < window.end_ps) & ((ended < 0) | (ended >= window.end_ps))
    return outcomes_json(columns.take(window.offered(columns))) | {"in_system_at_end": int(inside.sum())}


def outcomes_json(offered: Columns) -> dict[str, int]:
    """All replications together."""
    tally = np.bincount(offered["outcome"], minlength=len(OUTCOMES))
    return {"offered": int(tally.sum()), **dict(zip(OUTCOMES, tally.tolist(), strict=True))}


def rates_json(columns: Columns, asks: Asks, window: Window, replications: Sequence[int]) -> dict[str, Any]:
    offered = columns.take(window.offered(columns))
    ended = (columns["ended_ps"] >= window.start_ps) & (columns["ended_ps"] < window.end_ps)
    carried = columns.take(ended & columns.outcome("completed"), ("ended_ps", "replication", "output_tokens"))
    refused = offered.take(np.isin(offered["outcome"], [OUTCOMES.index(name) for name in REJECTED]))

    def rate(at_ps: Ints, replication: Ints, weights: Floats | None = None) -> Answer:
        return _rate(at_ps, replication, weights, window, replications)

    not_judged = asks.attainment.not_judged
    goodput = rate(asks.at_ps, asks.replication, asks.good.astype(np.float64))
    answers = {
        "offered_per_s": rate(offered["intended_ps"], offered["replication"]),
        "carried_per_s": rate(carried["ended_ps"], carried["replication"]),
        "rejected_per_s": rate(refused["intended_ps"], refused["replication"]),
        "asked_per_s": rate(asks.at_ps, asks.replication),
        "goodput_per_s": Refused(not_judged) if not_judged else goodput,
        "attainment": asks.attainment.answer(),
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
    requests: Columns,
    busy: Busy,
    nodes: Columns,
    paid: Mapping[str, int | Floats],
    window: Window,
    replications: Sequence[int],
) -> list[dict[str, Any]]:
    """A row per model; `n` counts replications, and `paid` the nodes of each model."""
    return [
        _model_json(
            model,
            requests,
            busy,
            nodes.take(nodes.labelled("model", model)),
            paid[model],
            window,
            replications,
        )
        for code, model in enumerate(nodes.names["model"])
        if code in nodes["model"]
    ]


def _model_json(
    model: str,
    requests: Columns,
    busy: Busy,
    nodes: Columns,
    paid: int | Floats,
    window: Window,
    replications: Sequence[int],
) -> dict[str, Any]:
    def total(column: str) -> Floats:
        row = np.searchsorted(replications, nodes["replication"])
        return np.bincount(row, nodes[column].astype(np.float64), len(replications)).astype(np.float64)

    count = len(np.unique(nodes["node"]))
    busy_ps = total("busy_ps")
    mine = requests.labelled("model", model)
    sequence_ps = total("sequence_s") * PS_PER_S + total("sequence_rest_ps")
    return {
        "model": model,
        "nodes": count,
        "utilisation": _over(busy.share(model, paid, window, replications)).as_json(),
        "batch": _batch(sequence_ps, busy_ps).as_json(),
        "preemptions": _over(total("preemptions")).as_json(),
        "busiest": _busiest(requests.take(mine & window.offered(requests)), count, replications).as_json(),
    }


def _busiest(requests: Columns, nodes: int, replications: Sequence[int]) -> Answer:
    """The most that any node got, against what it had got if all had got as many: totals of replications."""
    routed = requests.take(requests["node"] >= 0)
    if not len(routed["node"]):
        return Refused("No request got to a node.")
    place = np.searchsorted(replications, routed["replication"]) * nodes + routed["node"]
    counts = np.bincount(place, minlength=len(replications) * nodes).reshape(len(replications), nodes)
    return ratio_of(counts.max(axis=1).astype(np.float64), counts.mean(axis=1))


def _batch(sequence_ps: Floats, busy_ps: Floats) -> Answer:
    return ratio_of(sequence_ps, busy_ps) if busy_ps.any() else Refused("The nodes did no work.")


def _over(values: Floats) -> Answer:
    """One value per replication."""
    return ratio_of(values, np.ones(len(values)))
