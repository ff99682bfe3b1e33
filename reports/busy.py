"""When nodes were at work: from the first step that holds a part of any request until the last has left."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from reports.arrays import among, distinct
from reports.columns import Columns, Floats, Ints, Mask
from reports.levels import ROWS_AT_ONCE, Grid, Level, Spans, added
from reports.metrics import Window
from reports.record import PS_PER_S

VISIT = ("replication", "node", "started_ps", "last_ps", "ended_ps")
NODE_BITS = 32
"""A number for each pair of a replication and a node has the node's in its lower bits."""
MOST_ROWS = 1 << 20
"""Of nodes of a long table that are looked at together, unless one alone has more."""

Opened = tuple[Spans, Ints]
"""Spans that do not touch, and the replication of each."""


class Ahead(NamedTuple):
    """What will be asked, so that a long table is looked through once for all of it."""

    windows: Sequence[Window]
    """With one end."""
    replications: Sequence[int]
    pools: Mapping[str, int]
    """How many nodes each model has."""


class Busy:
    """Of the nodes of each model, from what visited them; whoever asks again gets what was found before."""

    def __init__(self, visits: Columns, ahead: Ahead | None = None) -> None:
        """`visits`: see `reports.stages`."""
        self._visits, self._ahead = visits, ahead
        self._opened: dict[tuple[str, int], Opened] = {}
        self._at_work_s: dict[tuple[str, Window], Floats] = {}
        self._over_time: dict[str, Floats] = {}

    def share(self, model: str, nodes: int | Floats, window: Window, replications: Sequence[int]) -> Floats:
        """The part of the window in which the nodes of a model were in a step, per replication."""
        if (model, window) not in self._at_work_s:
            self._look(model, window, replications)
        return self._at_work_s[model, window] / (nodes * window.length_s)

    def over_time(self, model: str, nodes: int, grid: Grid) -> Floats:
        """The share of so many nodes that was in a step, in each bin."""
        if self._ahead is not None and self._visits.stored:
            if model not in self._over_time:
                self._look(model, self._ahead.windows[0], self._ahead.replications)
            return self._over_time[model]
        level = Level(grid)
        _hold(level, self._spans(model, grid.horizon_ps), nodes)
        return level.means()

    def _look(self, model: str, window: Window, replications: Sequence[int]) -> None:
        ahead, horizon_ps = self._ahead, window.end_ps
        windows, levels = [window], list[tuple[Level, int]]()
        if ahead is not None and ahead.windows[0].end_ps == horizon_ps:
            windows = list(dict.fromkeys([window, *ahead.windows]))
            if self._visits.stored:
                levels = [(Level(Grid.of(horizon_ps, replications)), ahead.pools[model])]
        at_work_s = [np.zeros(len(replications)) for _ in windows]
        for spans, replication in self._spans(model, horizon_ps):
            at_work_s = [
                _at_work_s(spans, replication, one, replications, before)
                for one, before in zip(windows, at_work_s, strict=True)
            ]
            for level, nodes in levels:
                _hold(level, [(spans, replication)], nodes)
        for one, seconds in zip(windows, at_work_s, strict=True):
            self._at_work_s[model, one] = seconds
        for level, _ in levels:
            self._over_time[model] = level.means()

    def _spans(self, model: str, horizon_ps: int) -> Iterator[Opened]:
        of_model = self._visits.labelled("model", model)
        if self._visits.stored:
            yield from _pieces(self._visits.take(of_model, VISIT), horizon_ps)
            return
        key = model, horizon_ps
        if key not in self._opened:
            self._opened[key] = busy_spans(self._visits, of_model, horizon_ps)
        yield self._opened[key]


def _hold(level: Level, opened: Iterable[Opened], nodes: int) -> None:
    for spans, replication in opened:
        level.hold(spans, replication, np.broadcast_to(1 / nodes, len(replication)))


def busy_share(
    requests: Columns, of_model: Mask, nodes: int | Floats, window: Window, replications: Sequence[int]
) -> Floats:
    """As `Busy.share`, of any rows."""
    opened = busy_spans(requests, of_model, window.end_ps)
    at_work_s = _at_work_s(*opened, window, replications, np.zeros(len(replications)))
    return at_work_s / (nodes * window.length_s)


def _at_work_s(
    spans: Spans, replication: Ints, window: Window, replications: Sequence[int], before: Floats
) -> Floats:
    """By replication, added to what was found before."""
    busy_ps = spans.end_ps.clip(window.start_ps) - spans.begin_ps.clip(window.start_ps)
    return added(before, np.searchsorted(replications, replication), busy_ps / PS_PER_S)


def busy_spans(requests: Columns, of_model: Mask, horizon_ps: int) -> Opened:
    """When the nodes of a model had a request in a step, one span after the other, and its replication.

    By replication and node, and in time.
    """
    pieces = [(*spans, of) for spans, of in _pieces(requests.take(of_model, VISIT), horizon_ps)]
    none = np.zeros(0, np.int64)
    begin_ps, end_ps, of = map(np.concatenate, zip((none, none, none), *pieces, strict=True))
    return Spans(begin_ps, end_ps), of


def _pieces(visits: Columns, horizon_ps: int) -> Iterator[Opened]:
    """As `busy_spans`, some at a time: of a long table a few nodes after the others."""
    for groups in _sets(visits) if visits.stored else [None]:
        alone = groups is not None and len(groups) == 1
        found = visits.all_of(partial(_stays, horizon_ps=horizon_ps, groups=groups), *VISIT)
        begin_ps, end_ps = found[:2]
        if groups is not None and alone:
            begin_ps.sort()
            end_ps.sort()
            yield from _merged(begin_ps, end_ps, np.broadcast_to(groups[0], len(begin_ps)))
            continue
        order = np.argsort(found[2], kind="stable")
        for rows in np.split(order, _cuts(found[2][order])):
            group = found[2][rows]
            yield from _merged(_sorted(begin_ps[rows], group), _sorted(end_ps[rows], group), group)


def _group(visits: Columns) -> Ints:
    found: Ints = visits["replication"].astype(np.int64) << NODE_BITS | visits["node"]
    return found


def _sets(visits: Columns) -> Iterator[Ints]:
    """All groups in their order, as many together as have few rows."""
    rows = Counter[int]()
    for part in visits.parts("replication", "node", "started_ps"):
        groups, counts = np.unique(_group(part)[part["started_ps"] >= 0], return_counts=True)
        rows.update(dict(zip(groups.tolist(), counts.tolist(), strict=True)))
    some, together = list[int](), 0
    for group in sorted(rows):
        if some and together + rows[group] > MOST_ROWS:
            yield np.array(some)
            some, together = [], 0
        some.append(group)
        together += rows[group]
    if some:
        yield np.array(some)


def _stays(visits: Columns, horizon_ps: int, groups: Ints | None) -> tuple[Ints, ...]:
    """(begin, end, group) of who got to a step in these groups; of one alone without the group."""
    began, group = visits["started_ps"] >= 0, _group(visits)
    if groups is not None:
        began &= among(group, groups)
    begin_ps, end_ps = until_horizon(visits["started_ps"][began], left_node(visits)[began], horizon_ps)
    return (begin_ps, end_ps) if groups is not None and len(groups) == 1 else (begin_ps, end_ps, group[began])


def _cuts(groups: Ints) -> Ints:
    """Where to cut groups that stand together, so that each piece has some whole ones and not many rows."""
    edges = np.flatnonzero(np.diff(groups)) + 1
    wanted = np.arange(ROWS_AT_ONCE, len(groups), ROWS_AT_ONCE)
    found: Ints = distinct(edges[np.searchsorted(edges, wanted[wanted <= edges.max(initial=0)])])
    return found


def _merged(begin_ps: Ints, end_ps: Ints, group: Ints) -> Iterator[Opened]:
    """What overlaps or touches within its group as one span, some at a time.

    Begins and ends are each in order, group by group. So a span opens where all ends of those before lie
    before the begin.
    """
    count = len(begin_ps)
    opens = np.ones(count + 1, np.bool_)
    opens[1:-1] = (group[1:] != group[:-1]) | (end_ps[:-1] < begin_ps[1:])
    first = 0
    while first < count:
        last = min(first + ROWS_AT_ONCE, count)
        last += int(np.argmax(opens[last:]))  # no further than to a whole span
        here, closes = opens[first:last], opens[first + 1 : last + 1]
        spans = Spans(begin_ps[first:last][here], end_ps[first:last][closes])
        yield spans, group[first:last][here] >> NODE_BITS
        first = last


def _sorted(at_ps: Ints, group: Ints) -> Ints:
    """By group, in which rows come, and in each by time."""
    alone = not len(group) or group[0] == group[-1]
    return np.sort(at_ps) if alone else at_ps[np.lexsort((at_ps, group))]


def until_horizon(begin_ps: Ints, end_ps: Ints, horizon_ps: int) -> Spans:
    """Without an end: until the horizon. Without a begin: never."""
    end = np.where(end_ps < 0, horizon_ps, end_ps).clip(0, horizon_ps)
    begin = np.where(begin_ps < 0, horizon_ps, begin_ps)
    begin = np.where(begin_ps < 0, end, np.minimum(begin, end))
    return Spans(begin, end)


def left_node(requests: Columns) -> Ints:
    """-1 where it never did."""
    found: Ints = np.where(requests["last_ps"] < 0, requests["ended_ps"], requests["last_ps"])
    return found
