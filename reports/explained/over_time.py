"""Latencies over time: p50, p95 and p99 of those that were meant in each stretch of the run."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reports.arrays import quantile
from reports.columns import Columns, Floats, Ints
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

    def of(part: Columns) -> tuple[NDArray[np.int16], Floats]:
        place = np.searchsorted(edges_ps, part["intended_ps"], side="right") - 1
        inside = (place >= 0) & (place < len(edges_ps) - 1)
        return place[inside].astype(np.int16), FELT.seconds(part)[inside]

    place, took = done.all_of(of, "intended_ps", *FELT.stamps)
    took = took[np.argsort(place, kind="stable")]
    cuts = np.cumsum([0, *np.bincount(place, minlength=len(edges_ps) - 1)])
    parts = [took[a:b] for a, b in pairwise(cuts)]
    values = {name: [_quantile(part, name) for part in parts] for name in QUANTILES}
    source = group.source
    return LatencyCourse(source["name"], source["model"], (edges_ps / PS_PER_S).tolist(), values, len(took))


def _quantile(part: Floats, name: str) -> float | None:
    return quantile(part, QUANTILES[name]) if len(part) >= NEEDED[name] else None


def _edges_ps(horizon_ps: int, requests: int) -> Ints:
    """Some of those of the other courses, about equally far from each other."""
    edges = Grid.of(horizon_ps, ()).edges_ps
    bins = len(edges) - 1
    wanted = min(max(requests // WANTED, STRETCHES), bins)
    return edges[np.linspace(0, bins, wanted + 1).round().astype(np.int64)]
