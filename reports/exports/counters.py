"""What a node held over time, from the stamps of its requests: the queue, the batch, and their KV tokens.

KV tokens are those of running requests: the prompt's come evenly over its prefill, the answer's evenly over
its decode. What a prefix cache keeps behind them is not in the record. Who is preempted waits in the queue
without any until it is in a step again; then it is taken to have all that it had, as if computed at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from reports.arrays import among, distinct
from reports.columns import Columns, Floats, Ints, rows_numbered

MOST_POINTS = 2000


@dataclass(frozen=True, slots=True)
class Level:
    name: str
    unit: str
    at_ps: Ints
    values: Ints


class _Away(NamedTuple):
    lost_ps: Ints
    back_ps: Ints
    tokens: Ints


def levels(columns: Columns, node: int, preempted: Columns | None = None) -> Iterator[Level]:
    """Of a node that does both, prefill and decode. At most MOST_POINTS each."""
    here = columns.take(
        (columns["node"] == node) & (columns["admitted_ps"] >= 0) & (columns["ended_ps"] >= 0)
    )
    if not len(here):
        return
    left_ps = np.where(here["last_ps"] >= 0, here["last_ps"], here["ended_ps"])
    started = here["started_ps"] >= 0
    entered_ps = np.where(started, here["started_ps"], left_ps)
    away = _away(here, left_ps, node, preempted)
    waits = np.append(here["admitted_ps"], away.lost_ps), np.append(entered_ps, away.back_ps)
    runs = np.append(entered_ps[started], away.back_ps), np.append(left_ps[started], away.lost_ps)
    yield _thinned(Level("queue", "requests", *_count(*waits)))
    yield _thinned(Level("batch", "requests", *_count(*runs)))
    yield _thinned(Level("KV", "tokens", *_kv_tokens(here.take(started), left_ps[started], away)))


def _away(here: Columns, left_ps: Ints, node: int, preempted: Columns | None) -> _Away:
    """Of requests of one completion: of several one may be away while the others are not."""
    if preempted is None:
        return _Away(*(np.zeros(0, np.int64) for _ in _Away._fields))
    mine = preempted.take(preempted["node"] == node)
    row = rows_numbered(here, mine, "number")
    single = (row >= 0) & (here["samples"][row] == 1)
    mine, row = mine.take(single), row[single]
    back_ps = np.where(mine["back_ps"] < 0, left_ps[row], mine["back_ps"])
    return _Away(np.minimum(mine["lost_ps"], left_ps[row]), back_ps, mine["held_tokens"])


def stage_levels(stages: Columns, node: int) -> Iterator[Level]:
    """Of a node that prefills or decodes: how many it is at. Its KV tokens are not in the record."""
    code = {name: place for place, name in enumerate(stages.names["stage"])}
    worked = among(stages["stage"], [code[name] for name in ("prefill", "decode") if name in code])
    here = stages.take(
        worked & (stages["node"] == node) & (stages["began_ps"] >= 0) & (stages["ended_ps"] >= 0)
    )
    if len(here):
        yield _thinned(Level("batch", "requests", *_count(here["began_ps"], here["ended_ps"])))


def _count(began_ps: Ints, ended_ps: Ints) -> tuple[Ints, Ints]:
    """How many are under way at each change."""
    changes = np.concatenate([np.ones(len(began_ps), np.int64), -np.ones(len(ended_ps), np.int64)])
    return _running_sum(np.concatenate([began_ps, ended_ps]), changes)


def _running_sum(at_ps: Ints, changes: Ints) -> tuple[Ints, Ints]:
    """One value for each instant."""
    instants, place = np.unique(at_ps, return_inverse=True)
    change = np.zeros(len(instants), np.int64)
    np.add.at(change, place, changes)
    return instants, np.cumsum(change)


def _kv_tokens(columns: Columns, left_ps: Ints, away: _Away) -> tuple[Ints, Ints]:
    """Exact at each change of slope."""
    first_ps = np.where(columns["first_ps"] >= 0, columns["first_ps"], left_ps)
    starts = [
        (columns["started_ps"], first_ps, columns["prompt_tokens"]),
        (first_ps, left_ps, columns["output_tokens"]),
    ]
    changes = [columns["started_ps"], first_ps, left_ps, away.lost_ps, away.back_ps]
    instants = distinct(np.concatenate(changes))
    held = np.zeros(len(instants))
    for began_ps, ended_ps, tokens in starts:
        held += _filled(instants, began_ps, ended_ps, tokens.astype(np.float64))
    whole = (columns["prompt_tokens"] + columns["output_tokens"]).astype(np.float64)
    held -= _passed(instants, left_ps, whole)
    lost = away.tokens.astype(np.float64)
    held += _passed(instants, away.back_ps, lost) - _passed(instants, away.lost_ps, lost)
    return instants, np.maximum(np.rint(held), 0).astype(np.int64)


def _filled(at_ps: Ints, began_ps: Ints, ended_ps: Ints, tokens: Floats) -> Floats:
    """Of `tokens` that come evenly from `began_ps` to `ended_ps`, those that are there by each instant."""
    per_ps = tokens / np.maximum(ended_ps - began_ps, 1)
    ramp = _passed(at_ps, began_ps, per_ps) * at_ps - _passed(at_ps, began_ps, per_ps * began_ps)
    over = _passed(at_ps, ended_ps, per_ps) * at_ps - _passed(at_ps, ended_ps, per_ps * ended_ps)
    at_once = _passed(at_ps, ended_ps, np.where(ended_ps == began_ps, tokens, 0.0))
    return ramp - over + at_once


def _passed(at_ps: Ints, when_ps: Ints, amounts: Floats) -> Floats:
    """The sum of the amounts whose instant has come."""
    order = np.argsort(when_ps, kind="stable")
    sums = np.concatenate([[0.0], np.cumsum(amounts[order])])
    found: Floats = sums[np.searchsorted(when_ps[order], at_ps, side="right")]
    return found


def _thinned(level: Level) -> Level:
    """The highest of each stretch, at its own instant, so that no peak is lost; and the last value."""
    points = len(level.at_ps)
    if points <= MOST_POINTS:
        return level
    edges = np.linspace(0, points, MOST_POINTS).astype(np.int64)
    kept = [int(begin + np.argmax(level.values[begin:end])) for begin, end in pairwise(edges)]
    rows = distinct(np.array([*kept, points - 1]))
    return Level(level.name, level.unit, level.at_ps[rows], level.values[rows])
