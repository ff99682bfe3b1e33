"""How a run went over its time, from the stamps alone, so that the simulator pays nothing for it.

KV tokens of a request grow evenly between its first and its last token, which is as much as stamps can tell.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from reports.arrays import among
from reports.busy import Busy, left_node, until_horizon
from reports.columns import Columns, Floats, Ints
from reports.levels import Grid, Level, Spans
from reports.lifetimes import nodes_over_time
from reports.metrics import REJECTED
from reports.rates import pools
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
    grid = Grid.of(horizon_ps, replications)
    of_models = {model: _ModelSeries(grid, busy, model, count) for model, count in pools(nodes).items()}
    everyone = _Everyone(grid)
    for part in requests.parts(*ASKED):
        everyone.add(part)
        for model, series in of_models.items():
            series.add(part.take(part.labelled("model", model) & (part["node"] >= 0), SERVED))
    models = {model: series.means() for model, series in of_models.items()}
    for model, series in of_models.items():
        if lifetimes is not None:  # here, or in another variant
            there = nodes_over_time(lifetimes, model, series.nodes, grid)
            paid = there["nodes_paid"]
            share = models[model]["utilisation"] * series.nodes / np.where(paid > 0, paid, 1)
            models[model] |= {"utilisation": share, **there}
    return {
        "all": {name: _over_replications(values) for name, values in everyone.means().items()},
        "models": {
            model: {name: _over_replications(values) for name, values in series.items()}
            for model, series in models.items()
        },
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
ASKED = (*SERVED, "intended_ps", "outcome", "model", "node")


class _Everyone:
    """What came to the platform and left it; `add` takes some requests after the others."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._counts = {name: np.zeros(grid.shape) for name in ("offered", "carried", "rejected")}
        self._in_system = Level(grid)

    def add(self, requests: Columns) -> None:
        intended, ended = requests["intended_ps"], requests["ended_ps"]
        replication = requests["replication"]
        completed = requests.outcome("completed")
        refused = among(requests["outcome"], [OUTCOMES.index(name) for name in REJECTED])
        grid, counts = self._grid, self._counts
        counts["offered"] += grid.counts(intended, replication)
        counts["carried"] += grid.counts(ended[completed], replication[completed])
        counts["rejected"] += grid.counts(intended[refused], replication[refused])
        _hold(self._in_system, until_horizon(intended, ended, grid.horizon_ps), replication)

    def means(self) -> dict[str, Floats]:
        rates = {f"{name}_per_s": counts / self._grid.widths_s for name, counts in self._counts.items()}
        return rates | {"in_system": self._in_system.means().clip(0.0)}


class _ModelSeries:
    """What a model's nodes held; `add` takes some of the requests that came to one after the others."""

    def __init__(self, grid: Grid, busy: Busy, model: str, nodes: int) -> None:
        self.nodes = nodes
        self._grid, self._busy, self._model = grid, busy, model
        self._waiting, self._prefilling, self._decoding, self._kv_tokens = (Level(grid) for _ in range(4))

    def add(self, served: Columns) -> None:
        replication = served["replication"]
        ready = served["admitted_ps"] + served["overhead_ps"].clip(0)

        def hold(level: Level, begin_ps: Ints, end_ps: Ints) -> None:
            _hold(level, until_horizon(begin_ps, end_ps, self._grid.horizon_ps), replication)

        hold(self._waiting, ready, _or_left(served, "started_ps"))
        hold(self._prefilling, served["started_ps"], _or_left(served, "first_ps"))
        hold(self._decoding, served["first_ps"], left_node(served))
        _hold_tokens(self._kv_tokens, served, self._grid.horizon_ps)

    def means(self) -> dict[str, Floats]:
        return {
            "waiting": self._waiting.means().clip(0.0),
            "prefilling": self._prefilling.means().clip(0.0),
            "decoding": self._decoding.means().clip(0.0),
            "kv_tokens": self._kv_tokens.means().clip(0.0),
            "utilisation": self._busy.over_time(self._model, self.nodes, self._grid),
        }


def _or_left(served: Columns, stamp: str) -> Ints:
    """When the request left its node where it has no such stamp."""
    at_ps = served[stamp]
    found: Ints = np.where(at_ps < 0, left_node(served), at_ps)
    return found


def _hold_tokens(level: Level, served: Columns, horizon_ps: int) -> None:
    """A prompt counts once, from its first step; the last token of each sample never enters the cache."""
    began = served.take(served["started_ps"] >= 0)
    left = _until(began, horizon_ps)
    spans = Spans(began["started_ps"], left)
    level.hold(spans, began["replication"], began["prompt_tokens"].astype(np.float64))
    grows = (began["first_ps"] >= 0) & (began["output_tokens"] > began["samples"])
    grown_ones = began.take(grows & (left > began["first_ps"]))
    replication, first, left = (
        grown_ones["replication"],
        grown_ones["first_ps"],
        _until(grown_ones, horizon_ps),
    )
    grown = (grown_ones["output_tokens"] - grown_ones["samples"]).astype(np.float64)
    slope = grown / ((left - first) / PS_PER_S)
    level.kink("first", first, replication, slope)
    level.kink("left", left, replication, -slope)
    level.jump("left", left, replication, -grown)


def _until(began: Columns, horizon_ps: int) -> Ints:
    last = began["last_ps"]
    found: Ints = np.where(last < 0, horizon_ps, last)
    return found


def _hold(level: Level, spans: Spans, replication: Ints) -> None:
    """How many spans are open. Those that never were are left out."""
    level.hold(spans, replication, np.broadcast_to(1.0, len(replication)))


def _over_replications(values: Floats) -> dict[str, list[float]]:
    found = {"mean": values.mean(axis=0)}
    if len(values) > 1:
        found |= {"low": values.min(axis=0), "high": values.max(axis=0)}
    return {name: [rounded(value, DIGITS) for value in row.tolist()] for name, row in found.items()}
