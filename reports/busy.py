"""When nodes were at work: from the first step that holds a part of any request until the last has left."""

from collections.abc import Sequence

import numpy as np

from reports.columns import Columns, Floats, Ints, Mask
from reports.levels import ROWS_AT_ONCE, Spans
from reports.metrics import Window
from reports.record import PS_PER_S


class Busy:
    """Of the nodes of each model, from what visited them; whoever asks again gets what was found before."""

    def __init__(self, visits: Columns) -> None:
        """`visits`: see `reports.stages`."""
        self._visits = visits
        self._found: dict[tuple[str, int], tuple[Spans, Ints]] = {}

    def spans(self, model: str, horizon_ps: int) -> tuple[Spans, Ints]:
        key = model, horizon_ps
        if key not in self._found:
            self._found[key] = busy_spans(self._visits, self._visits.labelled("model", model), horizon_ps)
        return self._found[key]

    def share(self, model: str, nodes: int | Floats, window: Window, replications: Sequence[int]) -> Floats:
        """The part of the window in which the nodes of a model were in a step, per replication."""
        return share_of(*self.spans(model, window.end_ps), nodes, window, replications)


def busy_share(
    requests: Columns, of_model: Mask, nodes: int | Floats, window: Window, replications: Sequence[int]
) -> Floats:
    """As `Busy.share`, of any rows."""
    return share_of(*busy_spans(requests, of_model, window.end_ps), nodes, window, replications)


def share_of(
    spans: Spans, replication: Ints, nodes: int | Floats, window: Window, replications: Sequence[int]
) -> Floats:
    busy_ps = spans.end_ps.clip(window.start_ps) - spans.begin_ps.clip(window.start_ps)
    row = np.searchsorted(replications, replication)
    busy_s: Floats = np.bincount(row, busy_ps / PS_PER_S, len(replications)).astype(np.float64)
    return busy_s / (nodes * window.length_s)


def busy_spans(requests: Columns, of_model: Mask, horizon_ps: int) -> tuple[Spans, Ints]:
    """When the nodes of a model had a request in a step, one span after the other, and its replication."""
    began = of_model & (requests["started_ps"] >= 0)
    replication, node = requests["replication"][began], requests["node"][began]
    group = replication * (int(node.max(initial=0)) + 1) + node
    del node
    spans = until_horizon(requests["started_ps"][began], left_node(requests)[began], horizon_ps)
    order = np.argsort(group, kind="stable")
    opened = [_opened(spans, group, replication, rows) for rows in np.split(order, _cuts(group[order]))]
    begin_ps, end_ps, of = (np.concatenate(column) for column in zip(*opened, strict=True))
    return Spans(begin_ps, end_ps), of


def _cuts(groups: Ints) -> Ints:
    """Where to cut groups that stand together, so that each piece has some whole ones and not many rows."""
    edges = np.flatnonzero(np.diff(groups)) + 1
    wanted = np.arange(ROWS_AT_ONCE, len(groups), ROWS_AT_ONCE)
    found: Ints = np.unique(edges[np.searchsorted(edges, wanted[wanted <= edges.max(initial=0)])])
    return found


def _opened(spans: Spans, group: Ints, replication: Ints, rows: Ints) -> tuple[Ints, Ints, Ints]:
    """(begin, end, replication) of whole groups, one span after the other.

    The events of all groups together would take ten columns.
    """
    at_ps = np.concatenate([spans.begin_ps[rows], spans.end_ps[rows]])
    change = np.repeat(np.array([1, -1], np.int8), len(rows))
    order = np.lexsort((at_ps, np.tile(group[rows], 2)))  # stable: at one instant begins come before ends
    inside = np.cumsum(change[order], dtype=np.int64)
    opens = order[(inside == 1) & (change[order] == 1)]
    return at_ps[opens], at_ps[order[inside == 0]], np.tile(replication[rows], 2)[opens]


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
