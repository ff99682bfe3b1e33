"""Nodes that come and go: how many there were, how long they took to be there, and to go.

A node is paid for from its order to its end, so while it starts and while it drains.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from reports.busy import until_horizon
from reports.columns import Columns, Floats, Ints
from reports.levels import Grid, Level
from reports.metrics import Window
from reports.rates import pools
from reports.record import PS_PER_S
from reports.words import amount, duration

Json = dict[str, Any]
NodeCount = int | Floats
"""Of a model: always the same, or the mean of those that were paid for, by replication."""


def paid_nodes(
    nodes: Columns, lifetimes: Columns | None, window: Window, replications: Sequence[int]
) -> dict[str, NodeCount]:
    """Of each model, over the window."""
    found: dict[str, NodeCount] = dict(pools(nodes))
    for model in () if lifetimes is None else lifetimes.names["model"]:
        assert lifetimes is not None
        mine = lifetimes.take(lifetimes.labelled("model", model))
        if len(mine):
            found[model] = _mean(mine, "ordered_ps", "ended_ps", window, replications)
    return found


def _mean(lives: Columns, begins: str, ends: str, window: Window, replications: Sequence[int]) -> Floats:
    begin, end = (lives[name] for name in (begins, ends))
    end = np.where(end < 0, window.end_ps, end).clip(window.start_ps, window.end_ps)
    begin = np.where(begin < 0, end, begin).clip(window.start_ps, window.end_ps)
    row = np.searchsorted(replications, lives["replication"])
    total: Floats = np.bincount(row, (end - begin) / PS_PER_S, len(replications)).astype(np.float64)
    return total / window.length_s


def nodes_over_time(lifetimes: Columns | None, model: str, count: int, grid: Grid) -> dict[str, Floats]:
    """Those that take requests, and those that are paid for, in each bin."""
    mine = None if lifetimes is None else lifetimes.take(lifetimes.labelled("model", model))
    if mine is None or not len(mine):
        return {name: np.full(grid.shape, float(count)) for name in ("nodes_taking", "nodes_paid")}
    spans = {"nodes_taking": ("began_ps", "drained_ps"), "nodes_paid": ("ordered_ps", "ended_ps")}
    return {name: _level(mine, grid, *ends) for name, ends in spans.items()}


def _level(lives: Columns, grid: Grid, begins: str, ends: str) -> Floats:
    level = Level(grid)
    spans = until_horizon(lives[begins], lives[ends], int(grid.edges_ps[-1]))
    level.hold(spans, lives["replication"], np.ones(len(lives)))
    return level.means().clip(0.0)


def scaling_json(lifetimes: Columns, window: Window, replications: Sequence[int]) -> list[Json]:
    """A row per model whose nodes come and go; counts are means of a replication, up to the horizon."""
    rows = []
    for model in lifetimes.names["model"]:
        mine = lifetimes.take(lifetimes.labelled("model", model) & (lifetimes["ordered_ps"] < window.end_ps))
        if len(mine):
            rows.append({"model": model, **_row(mine, window, replications)})
    return rows


def _row(lives: Columns, window: Window, replications: Sequence[int]) -> Json:
    ordered, began, drained, ended = (lives[f"{n}_ps"] for n in ("ordered", "began", "drained", "ended"))
    later, there = ordered > 0, began >= 0
    went = (drained >= 0) & (drained < window.end_ps)
    runs = len(replications)
    paid = _mean(lives, "ordered_ps", "ended_ps", window, replications)
    return {
        "ordered": int(later.sum()) / runs,
        "dismissed": int((went & ~there).sum()) / runs,
        "drained": int((went & there).sum()) / runs,
        "start_up_s": _mean_s(began - ordered, later & there),
        "drain_s": _mean_s(ended - drained, went & there & (ended >= 0)),
        "paid_nodes": float(paid.mean()),
        "node_s": float(paid.mean()) * window.length_s,
    }


def _mean_s(spans_ps: Ints, rows: Any) -> float | None:  # noqa: ANN401 -- a mask
    return float(spans_ps[rows].mean()) / PS_PER_S if rows.any() else None


def sentences(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for row in rows:
        parts = [f"{amount(row['paid_nodes'])} nodes of {row['model']} were paid for in the mean"]
        if row["ordered"]:
            parts.append(f"{amount(row['ordered'])} were ordered{_delay(row['start_up_s'])}")
        if row["dismissed"]:
            parts.append(f"{amount(row['dismissed'])} were dismissed while they started")
        if row["drained"]:
            after = "" if row["drain_s"] is None else f", empty {duration(row['drain_s'])} later"
            parts.append(f"{amount(row['drained'])} went{after}")
        yield f"{'; '.join(parts)}."


def _delay(start_up_s: float | None) -> str:
    return (
        "" if start_up_s is None else f", and those that were kept took requests {duration(start_up_s)} later"
    )
