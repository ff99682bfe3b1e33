"""Who else was at the node: ahead of a request in the queue, and in the batch with it.

All of it is read off stamps. Whoever is named was at the node at some instant of the request's wait.
"""

from typing import NamedTuple

import numpy as np

from reports.arrays import among
from reports.columns import Ints, Mask
from reports.explained.scene import NOBODY_AWAY, Absences, Visit, Visits


class Queue(NamedTuple):
    """Around the wait of one request, as rows in the order in which they came."""

    ahead: Ints
    """They waited when it came, and were in a step before it or in the same one."""
    passed: Ints
    """They came later and were in a step before it."""
    behind: Ints
    """They waited when it came, since before, and were not in a step before it: it passed them."""
    running: Ints
    """In the batch when it came."""
    returned: Ints
    """They were preempted, before it came or later, and taken in again before it or in the same step."""
    made_room: Ints
    """They left at the instant at which it was first in a step, or the fixed work before that began."""


class Batch(NamedTuple):
    """Who shared steps with a request over some span."""

    mean: float
    most: int
    entered: Ints
    """They were first in a step within the span, after its begin: their prompts were computed in it."""


def queue_of(
    visits: Visits, row: int, visit: Visit, overhead_ps: int = 0, absences: Absences = NOBODY_AWAY
) -> Queue:
    """`overhead_ps` is what may stand between a place at the node and the first step."""
    others = visits.take(visits.rows != row)
    came, started, left = others.came_ps, others.started_ps, others.left_ps
    until_ps = visit.waited_until_ps
    began = started >= 0
    there = (came <= visit.came_ps) & (left > visit.came_ps)
    later = absences.take(absences.back_ps > visit.came_ps)
    away = among(others.rows, later.rows[later.lost_ps <= visit.came_ps])
    returned = among(others.rows, later.rows[later.back_ps <= until_ps])
    waiting = there & (~began | (started > visit.came_ps))
    in_time = began & (started <= until_ps)
    return Queue(
        ahead=_in_order(others, waiting & in_time),
        passed=_in_order(others, (came > visit.came_ps) & began & (started < until_ps)),
        behind=_in_order(others, waiting & ~in_time & (came < visit.came_ps)),
        running=_in_order(others, there & began & (started <= visit.came_ps) & ~away),
        returned=_in_order(others, returned),
        made_room=_in_order(
            others, began & (started < visit.started_ps) & _left_for(others, visit, overhead_ps)
        ),
    )


def _left_for(others: Visits, visit: Visit, overhead_ps: int) -> Mask:
    left, came_ps = others.left_ps, visit.came_ps
    at_once: Mask = (left == visit.started_ps) | (left == visit.started_ps - overhead_ps)
    return at_once & (left > came_ps)


def batch_of(
    visits: Visits, row: int, began_ps: int, ended_ps: int, absences: Absences = NOBODY_AWAY
) -> Batch:
    """Over [began, ended) as far as it was in the batch itself, without the request itself."""
    others = visits.take(visits.rows != row)
    begin, end = _stays(others, absences)
    own_begin, own_end = _own_stays(absences.take(absences.rows == row), began_ps, ended_ps)
    entered = _in_order(others, (others.started_ps > began_ps) & (others.started_ps < ended_ps))
    shared_ps, most = 0, 0
    for one_began, one_ended in zip(own_begin.tolist(), own_end.tolist(), strict=True):
        first, last = np.maximum(begin, one_began), np.minimum(end, one_ended)
        shares = last > first
        if shares.any():
            shared_ps += int((last - first)[shares].sum())
            most = max(most, _most(first[shares], last[shares]))
    there_ps = int((own_end - own_begin).sum())
    return Batch(shared_ps / there_ps if most else 0.0, most, entered)


def _stays(others: Visits, absences: Absences) -> tuple[Ints, Ints]:
    """From when to when each was in the batch: once and again where it was away in between."""
    inside = others.take(others.started_ps >= 0)
    away = absences.take(among(absences.rows, inside.rows))
    if not len(away.rows):
        return inside.started_ps, inside.left_ps
    rows = np.concatenate([inside.rows, away.rows])
    left_by_row = dict(zip(inside.rows.tolist(), inside.left_ps.tolist(), strict=True))
    left = np.array([left_by_row[row] for row in away.rows.tolist()], np.int64)
    begin = np.concatenate([inside.started_ps, np.minimum(away.back_ps, left)])
    end = np.concatenate([inside.left_ps, np.minimum(away.lost_ps, left)])
    # Of one row both alternate: it begins, is lost, is back, ... and leaves.
    return begin[np.lexsort((begin, rows))], end[np.lexsort((end, rows))]


def _own_stays(own: Absences, began_ps: int, ended_ps: int) -> tuple[Ints, Ints]:
    begin = np.sort(np.append(np.clip(own.back_ps, began_ps, ended_ps), began_ps))
    end = np.sort(np.append(np.clip(own.lost_ps, began_ps, ended_ps), ended_ps))
    return begin, end


def _most(begin: Ints, end: Ints) -> int:
    """At one instant; who leaves at an instant is not there with whoever comes then."""
    at = np.concatenate([begin, end])
    change = np.concatenate([np.ones(len(begin), np.int64), -np.ones(len(end), np.int64)])
    order = np.lexsort((change, at))
    return int(np.cumsum(change[order]).max())


def _in_order(visits: Visits, which: Mask) -> Ints:
    rows, came = visits.rows[which], visits.came_ps[which]
    found: Ints = rows[np.lexsort((rows, came))]
    return found
