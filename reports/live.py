"""A live run in three columns: what was simulated, what the client saw on its wall clock, and the lag.

All are in simulated seconds: at speed 10 a tenth of a second on the wall counts as one. Wall time counts from
the intended send, so a server that stalled cannot hide it.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from e80sim.mistakes import UserError
from reports.arrays import distinct
from reports.columns import Columns, Floats, Ints, by_variant
from reports.group import stats_json
from reports.record import PS_PER_S
from reports.statistics import Samples
from reports.stored import Table

CLIENT_FILE = "client.jsonl"
VARIANT = "live"
NS_PER_S = 10**9
NEVER = -1
METRICS = {"ttft": ("first_seen_ps", "first_ns"), "e2e": ("ended_ps", "last_ns")}
"""By metric, where it ends: in the records of the run, and in the client's rows."""
Json = dict[str, Any]


class ClientRow(NamedTuple):
    """One request as its client saw it. Times are its wall clock in nanoseconds, -1 where it never came."""

    number: int
    """Its number in the records, -1 where the answer did not tell."""
    status: int
    """0 where no answer came at all."""
    intended_ns: int
    sent_ns: int
    first_ns: int
    """The first content of a stream; of an answer in one piece, the answer."""
    last_ns: int
    stream: bool


class ClientFileError(UserError):
    """One sentence for the user: which line of which file, and what is wrong with it."""


def read_client(path: Path) -> list[ClientRow]:
    """Rows as `traffic/locustfile.py` writes them. Raises ClientFileError."""
    rows = []
    with path.open(encoding="utf-8") as lines:
        for number, text in enumerate(lines, 1):
            try:
                line = json.loads(text)
                rows.append(ClientRow(*(line[name] for name in ClientRow._fields)))
            except (ValueError, KeyError, TypeError):
                raise ClientFileError(f"{path} line {number} is not a request of a load client.") from None
    return rows


def live_json(
    server: Mapping[str, Any], requests: Table | None = None, client: Iterable[ClientRow] = ()
) -> Json:
    """The section `live` of a summary. `server` is what the manifest says of the server."""
    section: Json = {**server, "client": None, "groups": []}
    rows = sorted(client, key=lambda row: row.intended_ns)
    if requests is None or not rows:
        return section
    records = by_variant(requests, [VARIANT])[VARIANT]
    section["client"] = _client_json(rows, records)
    section["groups"] = [_group_json(source, records, rows, server["speed"]) for source in _sources(records)]
    return section


def _client_json(rows: Sequence[ClientRow], records: Columns) -> Json:
    """`slip` is how much later than intended the client itself sent."""
    slip = np.array([(row.sent_ns - row.intended_ns) / NS_PER_S for row in rows if row.sent_ns != NEVER])
    known = set(records["number"].tolist())
    return {
        "requests": len(rows),
        "answered": sum(_answered(row) for row in rows),
        "refused": sum(row.status >= 400 for row in rows),
        "lost": sum(row.status < 400 and not _answered(row) for row in rows),
        "not_recorded": sum(row.number not in known for row in rows),
        "slip": stats_json(_samples(slip)),
    }


def _answered(row: ClientRow) -> bool:
    return row.status == 200 and row.last_ns != NEVER


def _sources(records: Columns) -> list[str]:
    used = distinct(records["source"]).tolist()
    return sorted(records.names["source"][code] for code in used)


def _group_json(source: str, records: Columns, rows: Sequence[ClientRow], speed: float) -> Json:
    mine = records.take(records.labelled("source", source) & records.outcome("completed"))
    at = {number: index for index, number in enumerate(mine["number"].tolist())}
    matched = [row for row in rows if row.number in at and _answered(row)]
    found = mine.take(np.array([at[row.number] for row in matched], np.int64))
    place = mine["place"][0] if len(mine) else None
    return {
        "source": source,
        "place": None if place is None else mine.names["place"][place],
        "requests": len(matched),
        "metrics": {
            metric: _columns_json(metric, found, matched, speed, stamps) for metric, stamps in METRICS.items()
        },
    }


def _columns_json(
    metric: str, found: Columns, rows: Sequence[ClientRow], speed: float, stamps: tuple[str, str]
) -> Json:
    """Of the requests that both sides know; only streams have a TTFT."""
    record, client = stamps
    seen: Ints = np.array([getattr(row, client) for row in rows], np.int64)
    intended: Ints = np.array([row.intended_ns for row in rows], np.int64)
    there = (seen != NEVER) & (found[record] >= 0)
    if metric == "ttft":
        there &= np.array([row.stream for row in rows], np.bool_)
    simulated: Floats = (found[record] - found["intended_ps"])[there] / PS_PER_S
    wall: Floats = (seen - intended)[there] / NS_PER_S * speed
    return {
        name: stats_json(_samples(values, least))
        for name, values, least in (
            ("simulated", simulated, 0.0),
            ("wall", wall, 0.0),
            ("lag", wall - simulated, -math.inf),
        )
    }


def _samples(values: Floats, least: float = 0.0) -> Samples:
    return Samples.of(values, np.zeros(len(values), np.int64), [0], least)
