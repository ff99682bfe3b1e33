"""Traces of requests: narrow rows to search and page through, details beside them that only `get` reads.

Rows are ordered by the date of their beginning, newest first. They are written in groups; who reads writes
first what is waiting, and so sees every trace that was added.
"""

import json
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from api_shim.store.database import Database, Value
from api_shim.store.full_disk import StorageFullError

MOST_TRACES = 100_000
MOST_DETAIL_BYTES = 256 * 2**20
"""As they lie in the database, compressed."""
LONGEST_AGE_S = 7 * 24 * 3600
"""Beyond any of the three the oldest go."""
FEW_ROWS = 2_000
"""So many are looked at one by one before the newest of them are known."""
EVERYTHING = "traces_to_search"
MOST_WAITING = 1024
"""Before they are written."""
NS_PER_S = 10**9
LAST_OF_ASCII = "\x7f"
"""Behind all that an id of a request is made of."""


@dataclass(frozen=True, slots=True)
class TraceRow:
    """What a list shows of a trace."""

    id: str
    request_id: str
    project: str
    endpoint: str
    """Its path, `/v1/chat/completions`."""
    model: str
    """On the wire; empty where the request did not get as far as naming one."""
    status: int
    """Of HTTP: 429 where a limit refused it, 499 where the client left before there was any."""
    outcome: str
    """`stop`, `length`, `rejected`, `cancelled`, `timeout`, `node_lost`, `path_lost`.

    `refused` did not get to the model. A stream that breaks off has a status of 200 and says so here.
    """
    began_ns: int
    """Since 1970, on the shim's clock: the request left its caller."""
    duration_ps: int
    """Simulated, until the answer was over for the caller."""
    first_seen_ps: int | None
    """Simulated, from the beginning until the caller saw the first token; None: it saw none."""
    prompt_tokens: int
    output_tokens: int
    streamed: bool
    logged: bool
    """By `log: true`, with bodies; else it was sampled."""


@dataclass(frozen=True, slots=True)
class TraceSpan:
    """A stage of one request inside the model. Stamps are whole simulated picoseconds, as in its records."""

    name: str
    began_ps: int
    ended_ps: int
    attributes: dict[str, str | int]
    """`request`: its number in a run's records; `sample`: which of n completions; `node`; `tokens`, of
    which a prefill found `cached_tokens`, if any."""


@dataclass(frozen=True, slots=True)
class KeptText:
    """A body, without secrets."""

    text: str
    size_bytes: int
    """Of all of it, as it was sent."""
    cut: bool
    """Whether `text` is only its beginning."""


@dataclass(frozen=True, slots=True)
class Trace:
    row: TraceRow
    began_ps: int
    """The simulated instant of `row.began_ns`."""
    spans: list[TraceSpan]
    """In the order of their beginning; those of several prompts and completions lie beside each other."""
    key: str = ""
    """The name of the caller's key, which gives nothing of it away."""
    place: str = ""
    finish_reasons: list[str] = field(default_factory=list)
    """One of each completion, as the answer has them."""
    settings: dict[str, Any] = field(default_factory=dict)
    """What the request said of its generation: `max_tokens`, `temperature` ..."""
    messages: list[tuple[str, str]] = field(default_factory=list)
    """(role, text) of the whole prompt, as the model was given it; empty unless the trace is logged."""
    messages_cut: bool = False
    request: KeptText | None = None
    response: KeptText | None = None
    """Of a stream: its events as they were sent."""
    traceparent: str = ""
    """W3C's, of the client's own trace."""


COLUMNS = ", ".join(TraceRow.__slots__)
MARKS = ", ".join("?" for _ in TraceRow.__slots__)

ANY_TRACE = TypeAdapter(Trace)
VALUES = attrgetter(*TraceRow.__slots__)
INSERT = f"INSERT INTO traces ({COLUMNS}, detail_bytes) VALUES ({MARKS}, ?)"  # noqa: S608 -- our own names
REMOVE_OLD = "DELETE FROM traces WHERE began_ns <= ? RETURNING detail_bytes"
REMOVE_FIRST = """
    DELETE FROM traces WHERE number IN (SELECT number FROM traces ORDER BY began_ns, number LIMIT ?)
    RETURNING detail_bytes
"""


@dataclass(frozen=True, slots=True)
class TracesWanted:
    """A piece of the list, newest first, of those that fit all that is given."""

    limit: int = 20
    after: str | None = None
    """The id of the last trace of the piece before; where it has aged out, so has all that came after it."""
    since_ns: int | None = None
    until_ns: int | None = None
    """Dates of beginnings, since 1970; `since` is in, `until` is out."""
    endpoint: str | None = None
    model: str | None = None
    status: int | None = None
    outcome: str | None = None
    request_id: str | None = None
    """What it begins with."""


class TracePage(NamedTuple):
    rows: list[TraceRow]
    has_more: bool


class Traces:
    """To another project a trace does not exist; to nobody does one that is too old.

    `add` is for the event loop, all else for `Clock.aside`.
    """

    def __init__(
        self, database: Database, *, most: int = MOST_TRACES, most_bytes: int = MOST_DETAIL_BYTES
    ) -> None:
        self._database = database
        self._most = most
        self._most_bytes = most_bytes
        self._kept: tuple[int, int] | None = None
        """(traces, bytes of their details), once they have been counted."""
        self.lost = 0
        """Those for which the disk had no room, or which nobody had the time to write."""
        self._waiting: list[Callable[[], Trace]] = []

    def add(self, make: Callable[[], Trace]) -> int:
        """To be made and written with the next group; answers how many wait for that."""
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(make)
        else:
            self.lost += 1
        return len(self._waiting)

    def write(self, now_s: float) -> None:
        """Those that wait."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        try:
            self._insert([make() for make in waiting], now_s)
        except StorageFullError:
            self.lost += len(waiting)

    def _insert(self, traces: list[Trace], now_s: float) -> None:
        details = [_detail(trace) for trace in traces]
        with self._database.transaction() as connection:
            for trace, detail in zip(traces, details, strict=True):
                inserted = connection.execute(INSERT, (*VALUES(trace.row), len(detail)))
                connection.execute("INSERT INTO trace_details VALUES (?, ?)", (inserted.lastrowid, detail))
            self._forget(connection, now_s, len(details), sum(map(len, details)))

    def forget_old(self, now_s: float) -> None:
        """When nothing may be written for long, as at the start."""
        with suppress(StorageFullError), self._database.transaction() as connection:
            self._forget(connection, now_s)

    def page(self, project: str | None, now_s: float, wanted: TracesWanted) -> TracePage:
        """None: of all projects, as only whoever runs the server may see them."""
        self.write(now_s)
        conditions = list(_conditions(project, now_s, wanted))
        if wanted.after is not None:
            last = self._database.query("SELECT began_ns, number FROM traces WHERE id = ?", (wanted.after,))
            if not last:
                return TracePage([], has_more=False)
            conditions.append(("(began_ns, number) < (?, ?)", tuple(last[0])))
        index = self._shortest_way(project, wanted)
        where = " AND ".join(sql for sql, _ in conditions)
        values = [value for _, given in conditions for value in given]
        rows = self._database.query(
            f"SELECT {COLUMNS} FROM traces INDEXED BY {index} WHERE {where}"  # noqa: S608 -- our own words
            " ORDER BY began_ns DESC, number DESC LIMIT ?",
            (*values, wanted.limit + 1),
        )
        return TracePage([_row(row) for row in rows[: wanted.limit]], len(rows) > wanted.limit)

    def get(self, project: str | None, trace_id: str, now_s: float) -> Trace | None:
        self.write(now_s)
        rows = self._database.query(
            f"SELECT {COLUMNS}, detail FROM traces JOIN trace_details USING (number)"  # noqa: S608 -- our own names
            " WHERE id = ? AND began_ns > ? AND (? IS NULL OR project = ?)",
            (trace_id, _oldest_ns(now_s), project, project),
        )
        return _trace(rows[0]) if rows else None

    def _shortest_way(self, project: str | None, wanted: TracesWanted) -> str:
        """The index of the value that the fewest rows have; where all are common, the one of everything."""
        fewest, shortest = FEW_ROWS, EVERYTHING
        for column, condition, values in _filters(project, wanted):
            index = f"traces_by_{column}"
            rows = self._database.query(
                f"SELECT count(*) FROM (SELECT 1 FROM traces INDEXED BY {index} WHERE {condition} LIMIT ?)",  # noqa: S608 -- our own words
                (*values, FEW_ROWS),
            )
            if rows[0][0] < fewest:
                fewest, shortest = rows[0][0], index
        return shortest

    def _forget(
        self, connection: sqlite3.Connection, now_s: float, more: int = 0, more_bytes: int = 0
    ) -> None:
        """Of the oldest, as many as have to go. `more` have been written since the last time."""
        if self._kept is None:
            count, size_bytes = connection.execute(
                "SELECT count(*), coalesce(sum(detail_bytes), 0) FROM traces"
            ).fetchone()
        else:
            count, size_bytes = self._kept[0] + more, self._kept[1] + more_bytes
        self._kept = None  # unless all of this succeeds
        removed = [connection.execute(REMOVE_OLD, (_oldest_ns(now_s),)).fetchall()]
        while True:
            count -= len(removed[-1])
            size_bytes -= sum(row["detail_bytes"] for row in removed[-1])
            assert count >= 0
            assert size_bytes >= 0
            surplus = count - self._most
            if surplus <= 0 and size_bytes <= self._most_bytes:
                break
            removed.append(connection.execute(REMOVE_FIRST, (max(surplus, 1),)).fetchall())
        self._kept = (count, size_bytes)


def _oldest_ns(now_s: float) -> int:
    return int((now_s - LONGEST_AGE_S) * NS_PER_S)


def _conditions(
    project: str | None, now_s: float, wanted: TracesWanted
) -> Iterator[tuple[str, tuple[Value, ...]]]:
    """(SQL, its values)"""
    since_ns = (
        _oldest_ns(now_s) + 1 if wanted.since_ns is None else max(wanted.since_ns, _oldest_ns(now_s) + 1)
    )
    yield "began_ns >= ?", (since_ns,)  # of two lower bounds SQLite may search by the wrong one
    if wanted.until_ns is not None:
        yield "began_ns < ?", (wanted.until_ns,)
    for _, condition, values in _filters(project, wanted):
        yield condition, values


def _filters(project: str | None, wanted: TracesWanted) -> Iterator[tuple[str, str, tuple[Value, ...]]]:
    """(column, SQL, its values), each with an index of its own"""
    prefix = wanted.request_id
    if prefix is not None:
        yield "request_id", "request_id >= ? AND request_id < ?", (prefix, prefix + LAST_OF_ASCII)
    same = {
        "project": project,
        "endpoint": wanted.endpoint,
        "model": wanted.model,
        "status": wanted.status,
        "outcome": wanted.outcome,
    }
    for column, value in same.items():
        if value is not None:
            yield column, f"{column} = ?", (value,)


def _row(row: sqlite3.Row) -> TraceRow:
    values = {name: row[name] for name in TraceRow.__slots__}
    return TraceRow(**values | {"streamed": bool(row["streamed"]), "logged": bool(row["logged"])})


def _detail(trace: Trace) -> bytes:
    """All but the row."""
    return zlib.compress(ANY_TRACE.dump_json(trace, exclude={"row"}), level=1)


def _trace(row: sqlite3.Row) -> Trace:
    parts = json.loads(zlib.decompress(row["detail"]))
    parts["spans"] = [TraceSpan(**span) for span in parts["spans"]]
    parts["messages"] = [(role, text) for role, text in parts["messages"]]
    for name in ("request", "response"):
        parts[name] = None if parts[name] is None else KeptText(**parts[name])
    return Trace(_row(row), **parts)
