"""What the tables hold of one replication of one variant, found by node and by number.

A number is unique in a replication, not in a run. Of a request that was moved from a lost node the tables
name the last node alone, so nobody knows when it came there: it is left out of that node's visits.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from reports.arrays import among, distinct
from reports.columns import Columns, Ints, Mask, by_variant, rows_numbered
from reports.metrics import E2E, Window
from reports.record import LARGE, PS_PER_S
from reports.run_directory import Run
from reports.tables import RunTables
from reports.variant_records import of_variant

NEVER_PS = 2**63 - 1
BEFORE_PS = 60 * PS_PER_S
"""How long before a request limits may have been used up."""


class Visits(NamedTuple):
    """Of one node: which row came when, was first in a step when (-1: never), and left when."""

    rows: Ints
    came_ps: Ints
    started_ps: Ints
    left_ps: Ints

    def of(self, row: int) -> "Visit | None":
        place = np.flatnonzero(self.rows == row)
        if not len(place):
            return None
        came, started, left = (int(stamps[place[0]]) for stamps in self[1:])
        return Visit(came, started, left)

    def take(self, which: Mask) -> "Visits":
        return Visits(*(values[which] for values in self))


class Absences(NamedTuple):
    """Of one node: which row lost its KV blocks when, and came back when: never, if it left before."""

    rows: Ints
    lost_ps: Ints
    back_ps: Ints

    def take(self, which: Mask) -> "Absences":
        return Absences(*(values[which] for values in self))


NOBODY_AWAY = Absences(*(np.zeros(0, np.int64) for _ in range(3)))


class Visit(NamedTuple):
    came_ps: int
    started_ps: int
    left_ps: int

    @property
    def waited_until_ps(self) -> int:
        return self.started_ps if self.started_ps >= 0 else self.left_ps


@dataclass
class Scene:
    variant: str
    title: str
    replication: int
    requests: Columns
    """Of attempts that were answered, `intended_ps` is that of their ask: what its caller waited from."""
    facts: Mapping[str, Any]
    window: Window
    users: Columns | None = None
    stages: Columns | None = None
    faults: Columns | None = None
    lifetimes: Columns | None = None
    preemptions: Columns | None = None
    """None where nobody was preempted, or the run records none of it."""
    _visits: dict[tuple[str, int], Visits] = field(default_factory=dict)
    _absences: dict[tuple[str, int], Absences] = field(default_factory=dict)
    _took: dict[int, Ints] = field(default_factory=dict)
    """Of the last source that was asked for."""
    _whole: "Scene | None" = None
    """Of a part of a scene, the scene."""

    def loaded(self) -> "Scene":
        """In memory, where that is short enough."""
        if not self.requests.stored or len(self.requests) > LARGE:
            return self
        tables = {name: getattr(self, name) for name in ("users", "stages", "preemptions")}
        of_requests = {name: table.loaded() for name, table in tables.items() if table is not None}
        return replace(self, requests=self.requests.loaded(), **of_requests)

    def around(self, row: int) -> "tuple[Scene, int]":
        """What there is to say of one request can be told from; and its row in that.

        A scene that lies in memory is enough. Of a long table these are the requests that were under way with
        it, or ended in the minute before, and those that belong to its ask or its user request.
        """
        r = self.requests
        if not r.stored:
            return self, row
        one = r.take(np.array([row], np.int64))
        began_ps, ended_ps, parent, ask = (
            int(one[name][0]) for name in ("intended_ps", "ended_ps", "parent", "ask")
        )

        def is_near(part: Columns) -> Mask:
            left_ps = part["ended_ps"]
            near: Mask = (left_ps < 0) | (left_ps >= began_ps - BEFORE_PS)
            near &= part["intended_ps"] <= (NEVER_PS if ended_ps < 0 else ended_ps)
            near |= part["ask"] == ask
            if parent >= 0:
                near |= part["parent"] == parent
            return near

        near = r.each(is_near, "ended_ps", "intended_ps", "ask", "parent")
        requests = r.take(near).loaded()
        users, stages = self.users, self.stages
        if users is not None:
            users = users.take(users["number"] == parent).loaded()
        if stages is not None:
            stages = stages.take(among(stages["number"], requests["number"])).loaded()
        preemptions = self.preemptions
        if preemptions is not None:
            preemptions = preemptions.take(among(preemptions["number"], requests["number"])).loaded()
        part = replace(
            self,
            requests=requests,
            users=users,
            stages=stages,
            preemptions=preemptions,
            _visits={},
            _absences={},
            _took={},
            _whole=self,
        )
        return part, int(np.count_nonzero(near[:row]))

    def took_of(self, source: int) -> Ints:
        """Picoseconds of those of a source, by its code, that completed in this replication and window."""
        if self._whole is not None:
            return self._whole.took_of(source)
        if source not in self._took:
            r = self.requests
            peers = r.take(r.outcome("completed") & (r["source"] == source) & self.window.offered(r))
            self._took.clear()
            self._took[source] = E2E.ps(peers)
        return self._took[source]

    def row_of(self, number: int) -> int | None:
        found = np.flatnonzero(self.requests["number"] == number)
        return int(found[0]) if len(found) else None

    def value(self, row: int, column: str) -> int:
        """-1 for a column that a run of an earlier version lacks."""
        values = self.requests.values.get(column)
        return -1 if values is None else int(values[row])

    def label(self, row: int, column: str) -> str:
        return self.requests.names[column][int(self.requests[column][row])]

    def numbers(self, rows: Ints) -> list[int]:
        found: list[int] = self.requests["number"][rows].tolist()
        return found

    def divides_work(self, model: str) -> bool:
        """Whether some nodes of the model prefill and others decode."""
        return self.stages is not None and bool(self.stages.labelled("model", model).any())

    def visits(self, model: str, node: int) -> Visits:
        key = (model, node)
        if key not in self._visits:
            find = self._stages_at if self.divides_work(model) else self._requests_at
            self._visits[key] = find(model, node)
        return self._visits[key]

    def absences(self, model: str, node: int) -> Absences:
        """Of requests of one completion alone: others are away in part."""
        if self.preemptions is None:
            return NOBODY_AWAY
        key = (model, node)
        if key not in self._absences:
            self._absences[key] = self._absences_at(self.preemptions, model, node)
        return self._absences[key]

    def _absences_at(self, table: Columns, model: str, node: int) -> Absences:
        mine = table.take(table.labelled("model", model) & (table["node"] == node))
        rows = rows_numbered(self.requests, mine, "number")
        found = Absences(rows, mine["lost_ps"], np.where(mine["back_ps"] < 0, NEVER_PS, mine["back_ps"]))
        return found.take((rows >= 0) & (self.requests["samples"][rows] == 1))

    def _requests_at(self, model: str, node: int) -> Visits:
        r = self.requests
        here = (r["node"] == node) & r.labelled("model", model) & (r["admitted_ps"] >= 0)
        if "moves" in r.values:
            here &= r["moves"] <= 0
        rows = np.flatnonzero(here)
        return Visits(rows, r["admitted_ps"][rows], r["started_ps"][rows], left_ps(r)[rows])

    def moved_to(self, model: str, node: int, visit: Visit) -> Ints:
        """Those that came to the node from a lost one, and may have been there while `visit` waited."""
        r = self.requests
        if "moves" not in r.values:
            return np.zeros(0, np.int64)
        here = (r["moves"] > 0) & (r["node"] == node) & r.labelled("model", model)
        return np.flatnonzero(
            here & (r["admitted_ps"] <= visit.waited_until_ps) & (left_ps(r) > visit.came_ps)
        )

    def _stages_at(self, model: str, node: int) -> Visits:
        """A prefill node is come to with the admission, a decode node with the end of the transfer."""
        stages, requests = self.stages, self.requests
        assert stages is not None
        mine = stages.take(stages.labelled("model", model) & (stages["node"] == node))
        transfers = mine.take(mine.labelled("stage", "transfer"))
        row = rows_numbered(requests, mine, "number")
        worked = (mine.labelled("stage", "prefill") | mine.labelled("stage", "decode")) & (row >= 0)
        mine, row = mine.take(worked), row[worked]
        came = np.where(mine.labelled("stage", "prefill"), requests["admitted_ps"][row], mine["began_ps"])
        brought = rows_numbered(transfers, mine, "number")
        came[brought >= 0] = transfers["ended_ps"][brought[brought >= 0]]
        left = np.where(mine["ended_ps"] < 0, NEVER_PS, mine["ended_ps"])
        return Visits(row, came, mine["began_ps"], left)


def left_ps(requests: Columns) -> Ints:
    """When each was out of its node; never, for those that were inside to the end of the run."""
    left = np.where(requests["last_ps"] >= 0, requests["last_ps"], requests["ended_ps"])
    return np.where(left < 0, NEVER_PS, left)


def scenes_of(run: Run, variant: str) -> Iterator[Scene]:
    """A scene for each replication of `variant`, in order."""
    facts, tables = run.manifest["facts"], run.tables
    title = next(str(one["title"] or variant) for one in facts["variants"] if one["name"] == variant)
    whole = {name: _of_variant(tables, name, variant) for name in TABLES}
    requests = whole["requests"]
    assert requests is not None
    known = {**facts, **{name: of_variant(facts, name, variant) for name in ("places", "models", "sources")}}
    for replication in distinct(requests["replication"]).tolist():
        part = {name: None if table is None else _of(table, replication) for name, table in whole.items()}
        mine = part.pop("requests")
        assert mine is not None
        yield Scene(
            variant,
            title,
            replication,
            _since_the_ask(mine),
            known,
            Window.of(run.manifest["warm_up_s"], run.manifest["horizon_s"]),
            users=part["user_requests"],
            stages=part["stages"],
            faults=part["faults"],
            lifetimes=part["lifetimes"],
            preemptions=part["preemptions"],
        )


TABLES = ("requests", "user_requests", "stages", "faults", "lifetimes", "preemptions")


def _of_variant(tables: RunTables, name: str, variant: str) -> Columns | None:
    table = getattr(tables, name)
    return None if table is None else by_variant(table, [variant])[variant]


def _of(table: Columns, replication: int) -> Columns:
    return table.take(table["replication"] == replication)


def _since_the_ask(requests: Columns) -> Columns:
    """An attempt that was answered counts from when its ask was meant, as its latency does."""
    later = (requests["attempt"] > 0) & requests.outcome("completed")
    if not later.any():
        return requests
    first = rows_numbered(requests, requests, "ask")
    intended = np.where(later & (first >= 0), requests["intended_ps"][first], requests["intended_ps"])
    return requests.but("intended_ps", intended)
