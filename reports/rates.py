"""Counts and flows of one variant: offered, carried, rejected, Little's law, and what its nodes did."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from reports.arrays import among, distinct
from reports.busy import Busy
from reports.columns import Columns, Floats, Mask
from reports.levels import added
from reports.metrics import REJECTED, Window
from reports.record import OUTCOMES, PS_PER_S
from reports.statistics import Answer, Estimate, Refused, Samples, interval_of, mean, ratio_of

SLICES = 300
"""With one replication a rate is a series of counts over so many slices of the window, for batch means."""


class Asks(NamedTuple):
    """What users asked for in the window, and whether they got it in time."""

    at: Columns
    """`intended_ps`, `replication`, and in `good` whether it was judged, and within every objective."""
    attainment: Answer
    not_judged: str
    """Why no answer can be judged; empty where one can."""


def counts_json(columns: Columns, window: Window) -> dict[str, int]:
    """All replications together: outcomes of the offered, and all who are in the system at the horizon."""

    def inside(part: Columns) -> Mask:
        ended = part["ended_ps"]
        found: Mask = (part["intended_ps"] < window.end_ps) & ((ended < 0) | (ended >= window.end_ps))
        return found

    at_end = sum(int(inside(part).sum()) for part in columns.parts("ended_ps", "intended_ps"))
    return outcomes_json(columns.take(window.offered(columns))) | {"in_system_at_end": at_end}


def outcomes_json(offered: Columns) -> dict[str, int]:
    """All replications together."""
    tally = np.zeros(len(OUTCOMES), np.int64)
    for part in offered.parts("outcome"):
        tally += np.bincount(part["outcome"], minlength=len(OUTCOMES))
    return {"offered": int(tally.sum()), **dict(zip(OUTCOMES, tally.tolist(), strict=True))}


def rates_json(columns: Columns, asks: Asks, window: Window, replications: Sequence[int]) -> dict[str, Any]:
    offered = columns.take(window.offered(columns))
    carried = columns.take(
        window.inside(columns, "ended_ps") & columns.outcome("completed"),
        ("ended_ps", "replication", "output_tokens"),
    )
    refused = offered.take(among(offered["outcome"], [OUTCOMES.index(name) for name in REJECTED]))
    rate = partial(_rate, window=window, replications=replications)
    attainment, asked = asks.attainment, asks.at
    answers = {
        "offered_per_s": rate(offered, "intended_ps"),
        "carried_per_s": rate(carried, "ended_ps"),
        "rejected_per_s": rate(refused, "intended_ps"),
        "asked_per_s": rate(asked, "intended_ps"),
        "goodput_per_s": rate(asked, "intended_ps", "good"),
        "attainment": attainment,
        "output_tokens_per_s": rate(carried, "ended_ps", "output_tokens"),
    }
    if asks.not_judged:
        answers["goodput_per_s"] = Refused(asks.not_judged)
    return {name: answer.as_json() for name, answer in answers.items()}


def _rate(
    events: Columns, stamp: str, weight: str | None = None, *, window: Window, replications: Sequence[int]
) -> Answer:
    """Events per second, each counted as often as the column `weight` says. `n` counts the events."""
    several = len(replications) > 1
    width_ps = (window.end_ps - window.start_ps) / SLICES
    totals = np.zeros(len(replications) if several else SLICES)
    for part in events.parts(stamp, "replication", *([weight] if weight else [])):
        if several:
            row = np.searchsorted(replications, part["replication"])
        else:
            row = np.minimum((part[stamp] - window.start_ps) / width_ps, SLICES - 1).astype(np.int64)
        weights = part[weight].astype(np.float64) if weight else np.ones(len(row))
        totals = added(totals, row, weights)
    if several:
        return interval_of(totals / window.length_s, len(events)).within(0.0)
    slices = totals * SLICES / window.length_s
    series = Samples.of(slices, np.full(SLICES, replications[0]), replications)
    answer = mean(series)
    assert isinstance(answer, Estimate)
    return replace(answer, n=len(events)).within(0.0)


def little_json(columns: Columns, window: Window, replications: int) -> dict[str, float | None]:
    """L from the overlap of every stay with the window, against lambda W from the stays of the offered."""
    stamps = ("intended_ps", "ended_ps")

    def overlap_s(part: Columns) -> Floats:
        start, end = (part[name] for name in stamps)
        until = np.where(end < 0, window.end_ps, end)
        inside = np.clip(until, window.start_ps, window.end_ps) - np.clip(
            start, window.start_ps, window.end_ps
        )
        seconds: Floats = inside / PS_PER_S
        return seconds

    span_s = window.length_s * replications
    present = float(columns.each(overlap_s, *stamps).sum()) / span_s
    offered = columns.take(window.offered(columns))
    ended = offered.take(offered.each(lambda part: part["ended_ps"] >= 0, "ended_ps"))
    stays = ended.each(lambda part: (part["ended_ps"] - part["intended_ps"]) / PS_PER_S, *stamps)
    predicted = len(offered) / span_s * float(stays.mean()) if len(stays) else 0.0
    larger = max(present, predicted)
    return {
        "in_system": present,
        "arrival_rate_times_time": predicted,
        "relative_difference": (present - predicted) / larger if larger else 0.0,
    }


def pools(nodes: Columns) -> dict[str, int]:
    """How many nodes each model has."""
    return {
        model: len(distinct(nodes["node"][nodes["model"] == code]))
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

    count = len(distinct(nodes["node"]))
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
    counts = np.zeros(len(replications) * nodes, np.int64)
    for part in requests.parts("node", "replication"):
        routed = part["node"] >= 0
        row = np.searchsorted(replications, part["replication"][routed])
        counts += np.bincount(row * nodes + part["node"][routed], minlength=len(counts))
    if not counts.any():
        return Refused("No request got to a node.")
    by_node = counts.reshape(len(replications), nodes)
    return ratio_of(by_node.max(axis=1).astype(np.float64), by_node.mean(axis=1))


def _batch(sequence_ps: Floats, busy_ps: Floats) -> Answer:
    return ratio_of(sequence_ps, busy_ps) if busy_ps.any() else Refused("The nodes did no work.")


def _over(values: Floats) -> Answer:
    """One value per replication."""
    return ratio_of(values, np.ones(len(values)))
