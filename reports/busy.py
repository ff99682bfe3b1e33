"""When nodes were at work: from the first step that holds a part of any request until the last has left."""

from collections.abc import Sequence

import numpy as np

from reports.columns import Columns, Floats, Ints, Mask
from reports.levels import Spans
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
    spans = until_horizon(requests["started_ps"][began], left_node(requests)[began], horizon_ps)
    group = replication * (int(node.max(initial=0)) + 1) + node
    at_ps, group = np.concatenate(spans), np.concatenate([group, group])
    change = np.repeat([1, -1], len(node))
    order = np.lexsort((at_ps, group))  # stable: at one instant begins come before ends
    inside = np.cumsum(change[order])
    opens, closes = order[(inside == 1) & (change[order] == 1)], order[inside == 0]
    return Spans(at_ps[opens], at_ps[closes]), np.concatenate([replication, replication])[opens]


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
