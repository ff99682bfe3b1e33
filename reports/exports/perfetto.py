"""A run as a trace that Perfetto and chrome://tracing open: a process per node and per place of callers.

Chrome's JSON. Slices of one thread must lie in each other, so requests that overlap get lanes of their own.
Stamps are whole microseconds, the format's unit: readers cut what is behind the point, each in its own way,
and a phase could then stick out of its request.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any, NamedTuple

import numpy as np

from reports.columns import Columns, Ints, columns_of
from reports.exports.counters import Level, levels, stage_levels
from reports.record import OUTCOMES
from reports.run_directory import Run
from reports.stored import Table

PS_PER_US = 10**6
Event = dict[str, Any]


class Slice(NamedTuple):
    """A request at a node, or on its whole way; `phases` lie in it, one after the other."""

    number: int
    name: str
    began_us: int
    ended_us: int
    phases: tuple[tuple[str, int, int], ...]
    facts: dict[str, Any]
    absences: tuple["Absent", ...] = ()
    """Each lies in a phase."""


class Absent(NamedTuple):
    """From a preemption until it was in a step again, or it left."""

    lost_us: int
    back_us: int
    name: str
    facts: dict[str, Any]


Absences = dict[tuple[int, int], tuple[Absent, ...]]
"""By node and number of the request."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Which requests are drawn: all, or the slowest of them and others at equal distances."""

    rows: Ints
    of: int

    @property
    def note(self) -> str:
        if len(self.rows) == self.of:
            return ""
        return (
            f"{len(self.rows):,} of {self.of:,} requests are drawn: a tenth of these the slowest, the others "
            f"stand at equal distances; counters are of all."
        )


def shown(columns: Columns, most: int) -> Shown:
    """At most `most`: a tenth of it by time to the end, the rest evenly over the run."""
    rows = len(columns)
    if rows <= most:
        return Shown(np.arange(rows), rows)
    took = np.where(columns["ended_ps"] >= 0, columns["ended_ps"] - columns["sent_ps"], 0)
    slowest = np.argsort(-took, kind="stable")[: most // 10]
    rest = np.setdiff1d(np.arange(rows), slowest)
    evenly = rest[np.linspace(0, len(rest) - 1, most - len(slowest)).astype(np.int64)]
    return Shown(np.sort(np.concatenate([slowest, evenly])), rows)


def trace_lines(run: Run, columns: Columns, drawn: Shown) -> Iterator[str]:
    """`columns` are of one variant, one replication and one model."""
    yield '{"displayTimeUnit": "ms",'
    yield f'"otherData": {json.dumps(_about(run, drawn))},'
    yield '"traceEvents": ['
    before = None
    for event in _events(run, columns, columns.take(drawn.rows)):
        if before is not None:
            yield f"{before},"
        before = json.dumps(event)
    yield before or ""
    yield "]}"


def _about(run: Run, drawn: Shown) -> dict[str, str]:
    manifest = run.manifest
    found = {
        "scenario": manifest["scenario"],
        "seed": str(manifest["seed"]),
        "commit": str(manifest["commit"]),
    }
    return found | ({"note": drawn.note} if drawn.note else {})


def _events(run: Run, everything: Columns, columns: Columns) -> Iterator[Event]:
    model = everything.names["model"][int(everything["model"][0])]
    stages, preempted = (_same(table, everything) for table in (run.tables.stages, run.tables.preemptions))
    absences = {} if preempted is None else _absences(preempted)
    nodes = set(everything["node"].tolist()) | (set() if stages is None else set(stages["node"].tolist()))
    process = 0
    for node in sorted(nodes - {-1}):
        process += 1
        yield _named("process_name", process, 0, f"{model} node {node}")
        at_node = _at_node(columns, node) if stages is None else _stages(stages, columns, node)
        yield from _lanes(process, (_with(one, absences.get((node, one.number), ())) for one in at_node))
        for level in levels(everything, node, preempted) if stages is None else stage_levels(stages, node):
            yield from _counter(process, level)
    for code, place in enumerate(everything.names["place"]):
        here = columns.take(columns["place"] == code)
        if not len(here):
            continue
        process += 1
        yield _named("process_name", process, 0, f"callers at {place}")
        yield from _lanes(process, _ways(here))


def _same(table: Table | None, columns: Columns) -> Columns | None:
    """Of the variant, the replication and the model that `columns` are of; None where there are no rows."""
    if table is None:
        return None
    found = columns_of(table)
    for label in ("variant", "model"):
        found = found.take(found.labelled(label, columns.names[label][int(columns[label][0])]))
    found = found.take(found["replication"] == columns["replication"][0])
    return found if len(found) else None


def _absences(preempted: Columns) -> Absences:
    found: Absences = {}
    for row in _rows(preempted):
        back_ps = row["back_ps"]
        facts = {
            "request": row["number"],
            "by": row["by"],
            "cause": preempted.names["cause"][row["cause"]],
            "recomputed_tokens": 0 if back_ps < 0 else row["held_tokens"] - row["found_tokens"],
        }
        lost_us = row["lost_ps"] // PS_PER_US
        back_us = -1 if back_ps < 0 else back_ps // PS_PER_US
        key = row["node"], row["number"]
        one = Absent(lost_us, back_us, f"preempted by {row['by']}", facts)
        found[key] = (*found.get(key, ()), one)
    return found


def _with(one: Slice, absences: tuple[Absent, ...]) -> Slice:
    """Of several completions of one request that were away together, the one that was first is drawn."""
    shown: list[Absent] = []
    for absent in sorted(absences, key=lambda absent: absent[:2]):
        until_us = one.ended_us if absent.back_us < 0 else absent.back_us
        if not shown or absent.lost_us >= shown[-1].back_us:
            shown.append(absent._replace(back_us=until_us))
    return one._replace(absences=tuple(shown))


def _lanes(process: int, slices: Iterable[Slice]) -> Iterator[Event]:
    """Each slice in the first lane that is free; threads count from 1."""
    busy: list[tuple[int, int]] = []
    free: list[int] = []
    lanes = 0
    for one in sorted(slices, key=lambda one: (one.began_us, one.number)):
        while busy and busy[0][0] <= one.began_us:
            heappush(free, heappop(busy)[1])
        if free:
            lane = heappop(free)
        else:
            lanes += 1
            lane = lanes
            yield _named("thread_name", process, lane, f"lane {lane}")
        heappush(busy, (max(one.ended_us, one.began_us + 1), lane))
        yield from _drawn(process, lane, one)


def _drawn(process: int, lane: int, one: Slice) -> Iterator[Event]:
    yield _slice(process, lane, one.name, "request", (one.began_us, one.ended_us), one.facts)
    for phase, began_us, ended_us in one.phases:
        if ended_us > began_us:
            yield _slice(process, lane, phase, "phase", (began_us, ended_us), {"request": one.number})
    for absent in one.absences:
        span = absent.lost_us, absent.back_us
        yield _slice(process, lane, absent.name, "preemption", span, absent.facts)


def _slice(
    process: int, lane: int, name: str, kind: str, span_us: tuple[int, int], facts: dict[str, Any]
) -> Event:
    return {
        "name": name,
        "cat": kind,
        "ph": "X",
        "ts": span_us[0],
        "dur": span_us[1] - span_us[0],
        "pid": process,
        "tid": lane,
        "args": facts,
    }


def _named(what: str, process: int, thread: int, name: str) -> Event:
    return {"name": what, "ph": "M", "pid": process, "tid": thread, "args": {"name": name}}


def _counter(process: int, level: Level) -> Iterator[Event]:
    for at_ps, value in zip(level.at_ps.tolist(), level.values.tolist(), strict=True):
        yield {
            "name": level.name,
            "ph": "C",
            "ts": at_ps // PS_PER_US,
            "pid": process,
            "tid": 0,
            "args": {level.unit: value},
        }


def _at_node(columns: Columns, node: int) -> Iterator[Slice]:
    here = columns.take((columns["node"] == node) & (columns["admitted_ps"] >= 0))
    for row in _rows(here):
        stamps = [row["admitted_ps"], row["started_ps"], row["first_ps"], row["last_ps"]]
        yield _sliced(row, stamps, ("queue", "prefill", "decode"))


def _stages(stages: Columns, columns: Columns, node: int) -> Iterator[Slice]:
    """Of a model with nodes for prefill and others for decode: a slice for each stage at this one."""
    by_number = {row["number"]: row for row in _rows(columns)}
    began = (stages["node"] == node) & (stages["began_ps"] >= 0) & (stages["ended_ps"] >= 0)
    for row in _rows(stages.take(began)):
        request = by_number.get(row["number"])
        if request is None:
            continue
        stage = stages.names["stage"][row["stage"]]
        span = row["began_ps"] // PS_PER_US, row["ended_ps"] // PS_PER_US
        yield Slice(row["number"], f"{stage} {row['number']}", *span, (), _facts(request))


def _ways(columns: Columns) -> Iterator[Slice]:
    """From sending to the end, at the caller's."""
    for row in _rows(columns.take(columns["sent_ps"] >= 0)):
        stamps = [row[f"{name}_ps"] for name in ("sent", "connected", "arrived", "admitted", "started")]
        stamps += [row["first_seen_ps"], row["ended_ps"]]
        yield _sliced(row, stamps, ("connect", "network", "gateway", "queue", "first token", "answer"))


def _sliced(row: dict[str, int], stamps: Sequence[int], names: Sequence[str]) -> Slice:
    """Phases as far as the request came; what it was in when it ended lasts until then."""
    came = [stamp for stamp in stamps if stamp >= 0]
    ended_ps = max(came[-1], row["ended_ps"] if len(came) < len(stamps) else came[-1])
    edges = [*came, *([ended_ps] if len(came) < len(stamps) else [])]
    edges_us = np.maximum.accumulate([edge // PS_PER_US for edge in edges]).tolist()
    phases = tuple(zip(names, edges_us[:-1], edges_us[1:], strict=False))
    number = row["number"]
    return Slice(number, f"request {number}", edges_us[0], edges_us[-1], phases, _facts(row))


def _facts(row: dict[str, int]) -> dict[str, Any]:
    return {
        "request": row["number"],
        "outcome": OUTCOMES[row["outcome"]],
        "prompt_tokens": row["prompt_tokens"],
        "cached_tokens": row["cached_tokens"],
        "output_tokens": row["output_tokens"],
        "preemptions": row["preemptions"],
    }


def _rows(columns: Columns) -> Iterator[dict[str, int]]:
    names = list(columns.values)
    for values in zip(*(columns[name].tolist() for name in names), strict=True):
        yield dict(zip(names, values, strict=True))
