"""How far a line of waiting requests is behind, from the moments at which they joined and left it.

The measure is the age of the line: how long ago the request joined that is next by order of arrival. A rate
that rises does not make it grow, and neither does a wait that is the same for everybody; only falling behind
does. It needs no request to have been served, and it holds for any order of service, since it only counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reports.columns import Columns, Floats, Ints, Mask
from reports.levels import ROWS_AT_ONCE
from reports.metrics import Window
from reports.record import PS_PER_S

POINTS = 101
"""Of the window, at which the line is looked at: both edges and the quarters are among them."""
MIDDLE = POINTS // 2
QUARTER = POINTS // 4
LAST_QUARTER = 3 * QUARTER
OF_ALL = ("ended_ps", "replication", "outcome")
"""Columns that every line looks at."""
GOOD_PART = 0.1
"""Of the time that a request was there."""


@dataclass(frozen=True, slots=True)
class Stays:
    """When requests joined a line and left it; -1 for those still in it when the record ends."""

    joined_ps: Ints
    left_ps: Ints
    replication: NDArray[np.int32]
    gave_up: Mask
    """Who left the platform unanswered, and had waited for a good part of the time."""

    @classmethod
    def for_the_gateway(cls, requests: Columns) -> "Stays":
        """From arrival to being let pass, or to the answer that refuses."""

        def of(part: Columns) -> tuple[NDArray[Any], ...]:
            came = (part["arrived_ps"] >= 0) & (
                (part["ended_ps"] < 0) | (part["ended_ps"] >= part["arrived_ps"])
            )
            rows = part.take(came)
            passed = rows["admitted_ps"] >= 0
            left = np.where(passed, rows["admitted_ps"], rows["ended_ps"])
            return _stays(rows, rows["arrived_ps"], left)

        return cls(*requests.all_of(of, "arrived_ps", "admitted_ps", *OF_ALL))

    @classmethod
    def for_a_node(cls, requests: Columns) -> "Stays":
        """From the gateway's yes, less the fixed work, to the first step that holds a part of a request."""

        def of(part: Columns) -> tuple[NDArray[Any], ...]:
            rows = part.take((part["admitted_ps"] >= 0) & (part["node"] >= 0))
            ready = rows["admitted_ps"] + rows["overhead_ps"].clip(0)
            began = rows["started_ps"] >= 0
            left = np.where(began, rows["started_ps"], rows["ended_ps"])
            # Whoever leaves during the fixed work was never in the line.
            ready = np.where(left < 0, ready, np.minimum(ready, left))
            return _stays(rows, ready, left)

        return cls(*requests.all_of(of, "admitted_ps", "node", "overhead_ps", "started_ps", *OF_ALL))

    @classmethod
    def in_the_batch(cls, requests: Columns) -> "Stays":
        """From the first step to the last token."""

        def of(part: Columns) -> tuple[NDArray[Any], ...]:
            rows = part.take(part["started_ps"] >= 0)
            left = np.where(rows["last_ps"] < 0, rows["ended_ps"], rows["last_ps"])
            return _stays(rows, rows["started_ps"], left, np.zeros(len(rows), np.bool_))

        return cls(*requests.all_of(of, "started_ps", "last_ps", *OF_ALL))

    def mean_s(self, window: Window) -> float:
        """Of those who joined in the window and left; 0 without any."""
        told = (self.left_ps >= 0) & (self.joined_ps >= window.start_ps) & (self.joined_ps < window.end_ps)
        if not told.any():
            return 0.0
        stayed_ps = self.left_ps - self.joined_ps
        return float((stayed_ps if told.all() else stayed_ps[told]).mean()) / PS_PER_S


@dataclass(frozen=True, slots=True)
class WaitingLine:
    """A row per replication, a column per point of the window. Counts run from the start of the record."""

    joined: Ints
    left: Ints
    gave_up: Ints
    age_s: Floats
    """Of the line: 0 where nobody waits."""
    half_s: float

    @classmethod
    def of(cls, stays: Stays, window: Window, replications: Sequence[int]) -> "WaitingLine":
        points = np.linspace(window.start_ps, window.end_ps, POINTS)
        joined, left, gave_up, ages = [], [], [], []
        for one in replications:
            mine = stays.replication == one
            came = stays.joined_ps[mine]
            came.sort()
            gone = mine & (stays.left_ps >= 0)
            joined.append(_before(stays.joined_ps, mine, points))
            left.append(_before(stays.left_ps, gone, points))
            gave_up.append(_before(stays.left_ps, gone & stays.gave_up, points))
            ages.append(_age_s(came, joined[-1], left[-1], points))
        return cls(np.array(joined), np.array(left), np.array(gave_up), np.array(ages), window.length_s / 2)

    @property
    def waiting(self) -> Ints:
        return self.joined - self.left

    def in_second_half(self, counts: Ints) -> Floats:
        """By how much a count rose there, per replication."""
        rise: Floats = (counts[:, -1] - counts[:, MIDDLE]).astype(np.float64)
        return rise

    @property
    def occupied(self) -> float:
        """Share of the second half in which somebody waited."""
        return float((self.waiting[:, MIDDLE:] > 0).mean())

    @property
    def age_at_worst(self) -> tuple[float, int]:
        """The mean over the replications where it is largest, in seconds, and at which point that is."""
        means = self.age_s.mean(axis=0)
        return float(means.max()), int(means.argmax())

    def quarters(self, values: Ints | Floats) -> Floats:
        """Mean over each quarter of the window, per replication."""
        means = [values[:, at : at + QUARTER + 1].mean(axis=1) for at in range(0, POINTS - 1, QUARTER)]
        return np.array(means, np.float64).T


def _before(at_ps: Ints, rows: Mask, points: Floats) -> Ints:
    """How many of these rows lie before each point."""
    counts = np.zeros(len(points) + 1, np.int64)
    for begin in range(0, len(at_ps), ROWS_AT_ONCE):
        some = slice(begin, begin + ROWS_AT_ONCE)
        passed = np.searchsorted(points, at_ps[some][rows[some]], side="right")
        counts += np.bincount(passed, minlength=len(counts))
    found: Ints = np.cumsum(counts)[:-1]
    return found


def _age_s(came: Ints, joined: Ints, left: Ints, points: Floats) -> Floats:
    behind = left < joined
    first_in_line = came[np.minimum(left, len(came) - 1)] if len(came) else np.zeros(len(points), np.int64)
    return np.where(behind, (points - first_in_line) / PS_PER_S, 0.0)


def _stays(
    rows: Columns, joined_ps: Ints, left_ps: Ints, gave_up: Mask | None = None
) -> tuple[NDArray[Any], ...]:
    gave_up = _gave_up(rows, joined_ps, left_ps) if gave_up is None else gave_up
    return joined_ps, left_ps, rows["replication"].astype(np.int32), gave_up


def _gave_up(rows: Columns, joined_ps: Ints, left_ps: Ints) -> Mask:
    """Without the wait they might have been answered in time; others ask for more than there is time for."""
    unanswered = rows.outcome("timeout") | rows.outcome("cancelled")
    waited = (left_ps - joined_ps) >= GOOD_PART * (rows["ended_ps"] - joined_ps)
    found: Mask = unanswered & (left_ps > joined_ps) & waited
    return found
