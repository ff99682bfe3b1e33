"""Who else was at the node: ahead of a request in the queue, and in the batch with it.

All of it is read off stamps. Whoever is named was at the node at some instant of the request's wait.
"""

from typing import NamedTuple

import numpy as np

from reports.columns import Ints, Mask
from reports.explained.scene import Visit, Visits


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
    made_room: Ints
    """They left at the instant at which it was first in a step, or the fixed work before that began."""


class Batch(NamedTuple):
    """Who shared steps with a request over some span."""

    mean: float
    most: int
    entered: Ints
    """They were first in a step within the span, after its begin: their prompts were computed in it."""


def queue_of(visits: Visits, row: int, visit: Visit, overhead_ps: int = 0) -> Queue:
    """`overhead_ps` is what may stand between a place at the node and the first step."""
    others = visits.take(visits.rows != row)
    came, started, left = others.came_ps, others.started_ps, others.left_ps
    until_ps = visit.waited_until_ps
    began = started >= 0
    there = (came <= visit.came_ps) & (left > visit.came_ps)
    waiting = there & (~began | (started > visit.came_ps))
    in_time = began & (started <= until_ps)
    return Queue(
        ahead=_in_order(others, waiting & in_time),
        passed=_in_order(others, (came > visit.came_ps) & began & (started < until_ps)),
        behind=_in_order(others, waiting & ~in_time & (came < visit.came_ps)),
        running=_in_order(others, there & began & (started <= visit.came_ps)),
        made_room=_in_order(
            others, began & (started < visit.started_ps) & _left_for(others, visit, overhead_ps)
        ),
    )


def _left_for(others: Visits, visit: Visit, overhead_ps: int) -> Mask:
    left, came_ps = others.left_ps, visit.came_ps
    at_once: Mask = (left == visit.started_ps) | (left == visit.started_ps - overhead_ps)
    return at_once & (left > came_ps)


def batch_of(visits: Visits, row: int, began_ps: int, ended_ps: int) -> Batch:
    """Over [began, ended), without the request itself."""
    others = visits.take(visits.rows != row)
    begin = np.maximum(others.started_ps, began_ps)
    end = np.minimum(others.left_ps, ended_ps)
    shares = (others.started_ps >= 0) & (end > begin)
    begin, end = begin[shares], end[shares]
    entered = _in_order(others, (others.started_ps > began_ps) & (others.started_ps < ended_ps))
    if not len(begin) or ended_ps <= began_ps:
        return Batch(0.0, 0, entered)
    mean = float((end - begin).sum()) / (ended_ps - began_ps)
    return Batch(mean, _most(begin, end), entered)


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
