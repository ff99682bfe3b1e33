"""What a slow request has that a usual one has not: mean phases of the requests around three quantiles."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from reports.columns import Columns, Ints, Mask
from reports.critical_path import agent_phases_ps, felt_phases_ps
from reports.group import Group
from reports.metrics import FELT, PHASES
from reports.record import PS_PER_S

BANDS = {"p50": (0.45, 0.55), "p90": (0.875, 0.925), "p99": (0.985, 0.995)}
"""From one share of the requests, ordered by latency, to another."""
FEWEST = 5
"""Requests in a band, for a mean to say anything of it."""
MARKS: Mapping[str, str] = {
    "cold": "opened a connection",
    "preemptions": "were preempted",
    "attempt": "were retried or hedged",
    "lost": "had segments lost",
    "moves": "were moved from a lost node",
}
"""What else a request may have, and how a share of those that have it is told."""


class Band(NamedTuple):
    requests: int
    mean_s: float
    phases: dict[str, float]
    """Mean seconds, which add up to `mean_s`; those that take none are left out."""
    marks: dict[str, float]
    """Shares of the band, of MARKS; empty where an app stands between."""


def bands_of(group: Group) -> dict[str, Band]:
    """By quantile, of the completed asks of one source; without those with too few requests."""
    asks = group.completed_asks
    latency = FELT.ps(asks)
    order = np.argsort(latency, kind="stable")
    bands = {
        name: rows.copy()
        for name, (low, high) in BANDS.items()
        if len(rows := order[round(low * len(order)) : round(high * len(order))]) >= FEWEST
    }
    mean_s = {name: float(latency[rows].mean()) / PS_PER_S for name, rows in bands.items()}
    del order, latency
    means: dict[str, dict[str, float]] = {name: {} for name in bands}
    for phase, ps in asked_phases_ps(group, asks):
        if ps.any():
            for name, rows in bands.items():
                means[name][phase] = float(ps[rows].mean()) / PS_PER_S
        del ps  # before the next is made
    marks = {} if group.users is not None else _marks(asks)
    return {
        name: Band(
            len(rows),
            mean_s[name],
            means[name],
            {mark: float(which[rows].mean()) for mark, which in marks.items()},
        )
        for name, rows in bands.items()
    }


def asked_phases_ps(group: Group, asks: Columns) -> Iterator[tuple[str, Ints]]:
    """Together exactly the latency that its callers feel; each made when its turn comes."""
    if group.users is None:
        yield from ((phase.name, phase.ps(asks)) for phase in PHASES)
    elif group.steps is not None:
        yield from agent_phases_ps(asks, group.done, group.steps).items()
    else:
        fan_out = group.source["mode"] == "fan_out"
        yield from felt_phases_ps(asks, group.done, fan_out=fan_out).items()


def _marks(asks: Columns) -> dict[str, Mask]:
    """Only those that any request has."""
    found = {name: asks.each(partial(_any_of, names=[name]), name) for name in MARKS if name in asks.values}
    if "lost_out_ps" in asks.values:
        lost = ["lost_out_ps", "lost_back_ps"]
        found["lost"] = asks.each(partial(_any_of, names=lost), *lost)
    return {name: found[name] for name in MARKS if name in found and found[name].any()}


def _any_of(asks: Columns, names: Sequence[str]) -> Mask:
    found: Mask = np.any([asks[name] > 0 for name in names], axis=0)
    return found
