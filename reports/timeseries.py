"""How a run went over its time, from the stamps alone, so that the simulator pays nothing for it.

KV tokens of a request grow evenly between its first and its last token, which is as much as stamps can tell.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reports.busy import Busy, left_node, until_horizon
from reports.columns import Columns, Floats, Ints, Mask
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
    horizon_ps, of_model = int(grid.edges_ps[-1]), requests.labelled("model", model)
    served = of_model & (requests["node"] >= 0)
    replication = requests["replication"][served]
    started, first = requests["started_ps"][served], requests["first_ps"][served]
    left = left_node(requests)[served]
    ready = requests["admitted_ps"][served] + requests["overhead_ps"][served].clip(0)
    spans, of_span = busy.spans(model, horizon_ps)
    at_work = Level(grid)
    at_work.hold(spans, of_span, np.full(len(of_span), 1 / nodes))
    waited_until = np.where(started < 0, left, started)
    prefilled_until = np.where(first < 0, left, first)
    return {
        "waiting": _number(grid, until_horizon(ready, waited_until, horizon_ps), replication),
        "prefilling": _number(grid, until_horizon(started, prefilled_until, horizon_ps), replication),
        "decoding": _number(grid, until_horizon(first, left, horizon_ps), replication),
        "kv_tokens": _kv_tokens(requests.values, served, grid),
        "utilisation": at_work.means(),
    }


def _kv_tokens(values: Mapping[str, Any], served: Mask, grid: Grid) -> Floats:
    """A prompt counts once, from its first step; the last token of each sample never enters the cache."""
    horizon_ps = int(grid.edges_ps[-1])
    began = served & (values["started_ps"] >= 0)
    names = ("replication", "started_ps", "first_ps", "last_ps", "prompt_tokens", "output_tokens", "samples")
    replication, started, first, last, prompt, output, samples = (values[name][began] for name in names)
    left = np.where(last < 0, horizon_ps, last)
    level = Level(grid)
    level.hold(Spans(started, left), replication, prompt.astype(np.float64))
    grows = (first >= 0) & (output > samples) & (left > first)
    replication, first, left = replication[grows], first[grows], left[grows]
    grown = (output - samples)[grows].astype(np.float64)
    slope = grown / ((left - first) / PS_PER_S)
    level.kink(first, replication, slope)
    level.kink(left, replication, -slope)
    level.jump(left, replication, -grown)
    return level.means().clip(0.0)


def _number(grid: Grid, spans: Spans, replication: Ints) -> Floats:
    """How many spans are open. Those that never were are left out."""
    level = Level(grid)
    level.hold(spans, replication, np.ones(len(replication)))
    return level.means().clip(0.0)


def _over_replications(values: Floats) -> dict[str, list[float]]:
    found = {"mean": values.mean(axis=0)}
    if len(values) > 1:
        found |= {"low": values.min(axis=0), "high": values.max(axis=0)}
    return {name: [rounded(value, DIGITS) for value in row.tolist()] for name, row in found.items()}
