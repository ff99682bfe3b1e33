"""How a run went over its time: rates and levels in equal bins from 0 to the horizon, from the stamps alone.

A level is the exact time average of a piecewise-linear function over a bin, summed up from its jumps and
kinks. KV tokens of a request grow evenly between its first and its last token, as far as stamps can tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from reports.columns import Columns, Floats, Ints, Mask
from reports.metrics import REJECTED, Window
from reports.record import OUTCOMES, PS_PER_S

MOST_BINS = 120
ODD_BINS = 100
ROUND_WIDTHS = (1.0, 2.0, 2.5, 5.0)
DIGITS = 6


class Spans(NamedTuple):
    """From a begin up to an end, for every request; empty ones have begin >= end."""

    begin_ps: Ints
    end_ps: Ints


@dataclass(frozen=True)
class Grid:
    edges_ps: Ints
    replications: Sequence[int]

    @classmethod
    def of(cls, horizon_ps: int, replications: Sequence[int]) -> "Grid":
        return cls(np.linspace(0, horizon_ps, _bins(horizon_ps) + 1).round().astype(np.int64), replications)

    @property
    def widths_s(self) -> Floats:
        return np.diff(self.edges_ps) / PS_PER_S

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.replications), len(self.edges_ps) - 1

    def sums(self, at_ps: Ints, replication: Ints, *weights: Floats | None) -> list[Floats]:
        """One array of (replication, bin) per weight; None counts. Times off the grid are left out."""
        inside = (at_ps >= 0) & (at_ps < self.edges_ps[-1])
        bins = np.searchsorted(self.edges_ps, at_ps[inside], side="right") - 1
        cell = np.searchsorted(self.replications, replication[inside]) * self.shape[1] + bins
        return [
            np.bincount(cell, None if weight is None else weight[inside], self.shape[0] * self.shape[1])
            .astype(np.float64)
            .reshape(self.shape)
            for weight in weights
        ]

    def rest_s(self, at_ps: Ints) -> Floats:
        """From a time to the end of its bin."""
        bins = np.searchsorted(self.edges_ps, at_ps, side="right").clip(1, self.shape[1])
        rest: Floats = (self.edges_ps[bins] - at_ps) / PS_PER_S
        return rest

    def rates(self, at_ps: Ints, replication: Ints) -> Floats:
        """Events per second."""
        (found,) = self.sums(at_ps, replication, None)
        return found / self.widths_s


class Level:
    """A piecewise-linear function of time that starts at 0, one per replication."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._jumps, self._jump_areas, self._kinks, self._kink_rises, self._kink_areas = (
            np.zeros(grid.shape) for _ in range(5)
        )

    def jump(self, at_ps: Ints, replication: Ints, by: Floats) -> None:
        jumps, areas = self._grid.sums(at_ps, replication, by, by * self._grid.rest_s(at_ps))
        self._jumps += jumps
        self._jump_areas += areas

    def kink(self, at_ps: Ints, replication: Ints, by_per_s: Floats) -> None:
        """From here on the slope is greater by `by_per_s`."""
        rest_s = self._grid.rest_s(at_ps)
        rises = by_per_s * rest_s
        found = self._grid.sums(at_ps, replication, by_per_s, rises, rises * rest_s / 2)
        self._kinks += found[0]
        self._kink_rises += found[1]
        self._kink_areas += found[2]

    def hold(self, spans: Spans, replication: Ints, value: Floats) -> None:
        """Add `value` over each span."""
        self.jump(spans.begin_ps, replication, value)
        self.jump(spans.end_ps, replication, -value)

    def means(self) -> Floats:
        """Time average in each bin."""
        widths_s = self._grid.widths_s
        slopes = _before(self._kinks)
        levels = _before(self._jumps + slopes * widths_s + self._kink_rises)
        areas = levels * widths_s + slopes * widths_s**2 / 2 + self._jump_areas + self._kink_areas
        found: Floats = areas / widths_s
        return found


def edges_json(horizon_ps: int) -> list[float]:
    edges: list[float] = (Grid.of(horizon_ps, ()).edges_ps / PS_PER_S).tolist()
    return edges


def series_json(
    requests: Columns, nodes: Columns, horizon_ps: int, replications: Sequence[int]
) -> dict[str, Any]:
    """Per bin the mean over the replications and, of several, the least and the most."""
    grid, replication = Grid.of(horizon_ps, replications), requests["replication"]
    completed = requests.outcome("completed")
    refused = np.isin(requests["outcome"], [OUTCOMES.index(name) for name in REJECTED])
    intended = requests["intended_ps"]
    everyone = {
        "offered_per_s": grid.rates(intended, replication),
        "carried_per_s": grid.rates(requests["ended_ps"][completed], replication[completed]),
        "rejected_per_s": grid.rates(intended[refused], replication[refused]),
        "in_system": _number(grid, _until_horizon(intended, requests["ended_ps"], horizon_ps), replication),
    }
    models = {}
    for code, model in enumerate(nodes.names["model"]):
        pool = len(np.unique(nodes["node"][nodes["model"] == code]))
        if pool:
            models[model] = _model_series(requests, requests.labelled("model", model), grid, pool)
    return {
        "all": {name: _over_replications(values) for name, values in everyone.items()},
        "models": {
            model: {name: _over_replications(values) for name, values in series.items()}
            for model, series in models.items()
        },
    }


def busy_spans(requests: Columns, of_model: Mask, horizon_ps: int) -> tuple[Spans, Ints]:
    """When the nodes of a model had a request in a step, one span after the other, and its replication."""
    began = of_model & (requests["started_ps"] >= 0)
    replication, node = requests["replication"][began], requests["node"][began]
    spans = _until_horizon(requests["started_ps"][began], _left_node(requests)[began], horizon_ps)
    group = replication * (int(node.max(initial=0)) + 1) + node
    at_ps, group = np.concatenate(spans), np.concatenate([group, group])
    change = np.repeat([1, -1], len(node))
    order = np.lexsort((at_ps, group))  # stable: at one instant begins come before ends
    inside = np.cumsum(change[order])
    opens, closes = order[(inside == 1) & (change[order] == 1)], order[inside == 0]
    return Spans(at_ps[opens], at_ps[closes]), np.concatenate([replication, replication])[opens]


def busy_share(
    requests: Columns, of_model: Mask, nodes: int, window: Window, replications: Sequence[int]
) -> Floats:
    """The part of the window in which the nodes of a model were in a step, per replication."""
    spans, replication = busy_spans(requests, of_model, window.end_ps)
    busy_ps = spans.end_ps.clip(window.start_ps) - spans.begin_ps.clip(window.start_ps)
    row = np.searchsorted(replications, replication)
    busy_s: Floats = np.bincount(row, busy_ps / PS_PER_S, len(replications)).astype(np.float64)
    return busy_s / (nodes * window.length_s)


def _model_series(requests: Columns, of_model: Mask, grid: Grid, nodes: int) -> dict[str, Floats]:
    horizon_ps = int(grid.edges_ps[-1])
    served = of_model & (requests["node"] >= 0)
    replication = requests["replication"][served]
    started, first = requests["started_ps"][served], requests["first_ps"][served]
    left = _left_node(requests)[served]
    ready = requests["admitted_ps"][served] + requests["overhead_ps"][served].clip(0)
    spans, of_span = busy_spans(requests, of_model, horizon_ps)
    busy = Level(grid)
    busy.hold(spans, of_span, np.full(len(of_span), 1 / nodes))
    waited_until = np.where(started < 0, left, started)
    prefilled_until = np.where(first < 0, left, first)
    return {
        "waiting": _number(grid, _until_horizon(ready, waited_until, horizon_ps), replication),
        "prefilling": _number(grid, _until_horizon(started, prefilled_until, horizon_ps), replication),
        "decoding": _number(grid, _until_horizon(first, left, horizon_ps), replication),
        "kv_tokens": _kv_tokens(requests.values, served, grid),
        "utilisation": busy.means(),
    }


def _kv_tokens(values: dict[str, Any], served: Mask, grid: Grid) -> Floats:
    """A prompt counts from its first step; the last token made never enters the cache."""
    horizon_ps = int(grid.edges_ps[-1])
    began = served & (values["started_ps"] >= 0)
    names = ("replication", "started_ps", "first_ps", "last_ps", "prompt_tokens", "output_tokens")
    replication, started, first, last, prompt, output = (values[name][began] for name in names)
    left = np.where(last < 0, horizon_ps, last)
    level = Level(grid)
    level.hold(Spans(started, left), replication, prompt.astype(np.float64))
    grows = (first >= 0) & (output > 1) & (left > first)
    replication, first, left = replication[grows], first[grows], left[grows]
    grown = (output[grows] - 1).astype(np.float64)
    slope = grown / ((left - first) / PS_PER_S)
    level.kink(first, replication, slope)
    level.kink(left, replication, -slope)
    level.jump(left, replication, -grown)
    return level.means().clip(0.0)


def _number(grid: Grid, spans: Spans, replication: Ints) -> Floats:
    """How many spans are open. Those that never were are left out."""
    level = Level(grid)
    level.hold(spans, replication, np.ones(len(replication)))
    return level.means().clip(0.0)


def _until_horizon(begin_ps: Ints, end_ps: Ints, horizon_ps: int) -> Spans:
    """Without an end: until the horizon. Without a begin: never."""
    end = np.where(end_ps < 0, horizon_ps, end_ps).clip(0, horizon_ps)
    begin = np.where(begin_ps < 0, horizon_ps, begin_ps)
    begin = np.where(begin_ps < 0, end, np.minimum(begin, end))
    return Spans(begin, end)


def _left_node(requests: Columns) -> Ints:
    """-1 where it never did."""
    found: Ints = np.where(requests["last_ps"] < 0, requests["ended_ps"], requests["last_ps"])
    return found


def _before(values: Floats) -> Floats:
    """What has come together at the start of each bin."""
    found: Floats = np.cumsum(values, axis=1) - values
    return found


def _over_replications(values: Floats) -> dict[str, list[float]]:
    found = {"mean": values.mean(axis=0)}
    if len(values) > 1:
        found |= {"low": values.min(axis=0), "high": values.max(axis=0)}
    return {name: [float(f"{value:.{DIGITS}g}") for value in row.tolist()] for name, row in found.items()}


def _bins(horizon_ps: int) -> int:
    """The most bins whose width is a round number."""
    decade = 10.0 ** (len(str(max(horizon_ps // MOST_BINS, 1))) - 1)
    widths = [scale * width for scale in (decade, 10 * decade) for width in ROUND_WIDTHS]
    fits = (
        round(horizon_ps / w) for w in widths if (horizon_ps / w).is_integer() and horizon_ps / w <= MOST_BINS
    )
    return next(fits, min(ODD_BINS, horizon_ps))
