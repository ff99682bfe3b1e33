"""How a run went over its time, from the stamps alone, so that the simulator pays nothing for it.

KV tokens of a request grow evenly between its first and its last token, which is as much as stamps can tell.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from reports.busy import Busy, left_node, until_horizon
from reports.columns import Columns, Floats, Ints
from reports.levels import Grid, Level, Spans
from reports.lifetimes import nodes_over_time
from reports.metrics import REJECTED
from reports.record import OUTCOMES, PS_PER_S
from reports.words import rounded

DIGITS = 6


def edges_json(horizon_ps: int) -> list[float]:
    edges: list[float] = (Grid.of(horizon_ps, ()).edges_ps / PS_PER_S).tolist()
    return edges


def series_json(
    requests: Columns,
    busy: Busy,
    nodes: Columns,
    horizon_ps: int,
    replications: Sequence[int],
    lifetimes: Columns | None = None,
) -> dict[str, Any]:
    """Per bin the mean over the replications and, of several, the least and the most."""
    grid, replication = Grid.of(horizon_ps, replications), requests["replication"]
    completed = requests.outcome("completed")
    refused = np.isin(requests["outcome"], [OUTCOMES.index(name) for name in REJECTED])
    intended = requests["intended_ps"]
    everyone = {
        "offered_per_s": grid.rates(intended, replication),
        "carried_per_s": grid.rates(requests["ended_ps"][completed], replication[completed]),
        "rejected_per_s": grid.rates(intended[refused], replication[refused]),
        "in_system": _number(grid, until_horizon(intended, requests["ended_ps"], horizon_ps), replication),
    }
    models = {}
    for code, model in enumerate(nodes.names["model"]):
        pool = len(np.unique(nodes["node"][nodes["model"] == code]))
        if pool:
            models[model] = _model_series(requests, busy, model, grid, pool)
            if lifetimes is not None:  # here, or in another variant
                there = nodes_over_time(lifetimes, model, pool, grid)
                paid = there["nodes_paid"]
                share = models[model]["utilisation"] * pool / np.where(paid > 0, paid, 1)
                models[model] |= {"utilisation": share, **there}
    return {
        "all": {name: _over_replications(values) for name, values in everyone.items()},
        "models": {
            model: {name: _over_replications(values) for name, values in series.items()}
            for model, series in models.items()
        },
    }


def _model_series(requests: Columns, busy: Busy, model: str, grid: Grid, nodes: int) -> dict[str, Floats]:
    horizon_ps = int(grid.edges_ps[-1])
    served = requests.labelled("model", model) & (requests["node"] >= 0)
    mine = requests.take(served, SERVED)
    replication = mine["replication"]
    spans, of_span = busy.spans(model, horizon_ps)
    at_work = Level(grid)
    at_work.hold(spans, of_span, np.broadcast_to(1 / nodes, len(of_span)))

    def number(begin_ps: Ints, end_ps: Ints) -> Floats:
        return _number(grid, until_horizon(begin_ps, end_ps, horizon_ps), replication)

    return {
        "waiting": number(mine["admitted_ps"] + mine["overhead_ps"].clip(0), _or_left(mine, "started_ps")),
        "prefilling": number(mine["started_ps"], _or_left(mine, "first_ps")),
        "decoding": number(mine["first_ps"], left_node(mine)),
        "kv_tokens": _kv_tokens(mine, grid),
        "utilisation": at_work.means(),
    }


SERVED = (
    "replication",
    "admitted_ps",
    "overhead_ps",
    "started_ps",
    "first_ps",
    "last_ps",
    "ended_ps",
    "prompt_tokens",
    "output_tokens",
    "samples",
)


def _or_left(served: Columns, stamp: str) -> Ints:
    """When the request left its node where it has no such stamp."""
    at_ps = served[stamp]
    found: Ints = np.where(at_ps < 0, left_node(served), at_ps)
    return found


def _kv_tokens(served: Columns, grid: Grid) -> Floats:
    """A prompt counts once, from its first step; the last token of each sample never enters the cache."""
    horizon_ps = int(grid.edges_ps[-1])
    began = served.take(served["started_ps"] >= 0)
    left = _until(began, horizon_ps)
    level = Level(grid)
    spans = Spans(began["started_ps"], left)
    level.hold(spans, began["replication"], began["prompt_tokens"].astype(np.float64))
    grows = (began["first_ps"] >= 0) & (began["output_tokens"] > began["samples"])
    del spans
    grown_ones = began.take(grows & (left > began["first_ps"]))
    replication, first, left = (
        grown_ones["replication"],
        grown_ones["first_ps"],
        _until(grown_ones, horizon_ps),
    )
    grown = (grown_ones["output_tokens"] - grown_ones["samples"]).astype(np.float64)
    slope = grown / ((left - first) / PS_PER_S)
    level.kink(first, replication, slope)
    level.kink(left, replication, -slope)
    level.jump(left, replication, -grown)
    return level.means().clip(0.0)


def _until(began: Columns, horizon_ps: int) -> Ints:
    last = began["last_ps"]
    found: Ints = np.where(last < 0, horizon_ps, last)
    return found


def _number(grid: Grid, spans: Spans, replication: Ints) -> Floats:
    """How many spans are open. Those that never were are left out."""
    level = Level(grid)
    level.hold(spans, replication, np.broadcast_to(1.0, len(replication)))
    return level.means().clip(0.0)


def _over_replications(values: Floats) -> dict[str, list[float]]:
    found = {"mean": values.mean(axis=0)}
    if len(values) > 1:
        found |= {"low": values.min(axis=0), "high": values.max(axis=0)}
    return {name: [rounded(value, DIGITS) for value in row.tolist()] for name, row in found.items()}
