"""Latencies over time: p50, p95 and p99 of those that were meant in each stretch of the run."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from reports.columns import Floats, Ints
from reports.group import Group
from reports.levels import Grid
from reports.metrics import FELT
from reports.record import PS_PER_S

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
NEEDED = {"p50": 5, "p95": 40, "p99": 200}
"""Requests in a stretch: twice as many as leave one beyond the quantile."""
WANTED = 200
"""Requests in a stretch on average, as long as there are STRETCHES of them at least."""
STRETCHES = 12


class LatencyCourse(NamedTuple):
    source: str
    model: str
    edges_s: list[float]
    values_s: dict[str, list[float | None]]
    """By quantile, one for each stretch; None where it has too few requests."""
    requests: int


def course_of(group: Group) -> LatencyCourse | None:
    """Of all replications together, without the warm-up; None where nothing completed."""
    done = group.completed_asks
    if not len(done):
        return None
    edges_ps = _edges_ps(group.window.end_ps, len(done))
    at, took = done["intended_ps"], FELT.ps(done) / PS_PER_S
    place = np.searchsorted(edges_ps, at, side="right") - 1
    inside = (place >= 0) & (place < len(edges_ps) - 1)
    place, took = place[inside], took[inside]
    order = np.argsort(place, kind="stable")
    took = took[order]
    cuts = np.searchsorted(place[order], np.arange(len(edges_ps)))
    parts = [took[a:b] for a, b in pairwise(cuts)]
    values = {name: [_quantile(part, name) for part in parts] for name in QUANTILES}
    source = group.source
    return LatencyCourse(
        source["name"], source["model"], (edges_ps / PS_PER_S).tolist(), values, int(inside.sum())
    )


def _quantile(part: Floats, name: str) -> float | None:
    return float(np.quantile(part, QUANTILES[name])) if len(part) >= NEEDED[name] else None


def _edges_ps(horizon_ps: int, requests: int) -> Ints:
    """Some of those of the other courses, about equally far from each other."""
    edges = Grid.of(horizon_ps, ()).edges_ps
    bins = len(edges) - 1
    wanted = min(max(requests // WANTED, STRETCHES), bins)
    return edges[np.linspace(0, bins, wanted + 1).round().astype(np.int64)]
