"""Runs of a few requests with stamps that one can add up in the head."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from reports.record import (
    ASK_COLUMNS,
    NODE_COLUMNS,
    OUTCOMES,
    PREEMPTION_COLUMNS,
    REQUEST_COLUMNS,
    USER_REQUEST_COLUMNS,
    Column,
)
from reports.tables import (
    FINISH_REASONS,
    RunTables,
    ask_table,
    concat,
    node_table,
    preemption_table,
    request_table,
    user_request_table,
)

Row = Mapping[str, Any]

PLAIN = {"source": "chat", "tenant": "acme", "place": "edge", "model": "llama", "app": "", "app_place": ""}
STAMPS_MS = {
    "intended": 0,
    "sent": 0,
    "connected": 10,
    "arrived": 15,
    "admitted": 17,
    "overhead": 1,
    "started": 20,
    "first": 50,
    "last": 110,
    "first_seen": 55,
    "ended": 115,
}
"""set_up 10, network_out 5, admission 2, overhead 1, queue 2, prefill 30, decode 60, return 5: e2e 115."""


def request(at_ms: int = 0, **changes: Any) -> Row:
    """A completed request of four tokens. Stamps in ms, shifted by `at_ms`; None for a stamp it never had."""
    row: dict[str, Any] = {
        **{column.name: 0 for column in REQUEST_COLUMNS},
        **PLAIN,
        "outcome": "completed",
        "finish_reason": "stop",
        "stream": True,
        "parent": -1,
        "samples": 1,
        "session": -1,
        "output_tokens": 4,
        **STAMPS_MS,
        **changes,
    }
    return _stamped(row, at_ms, tuple(STAMPS_MS))


def user_request(at_ms: int = 0, **changes: Any) -> Row:
    """Set-up 4, out 6, ten ms of CPU and one call of 115, 5 back: felt 140."""
    stamps = {"intended": 0, "connected": 4, "arrived": 10, "cpu": 10, "left": 135, "ended": 140}
    row = {**{column.name: 0 for column in USER_REQUEST_COLUMNS}, **PLAIN, "app": "helper", "calls": 1}
    return _stamped({**row, "outcome": "completed", **stamps, **changes}, at_ms, tuple(stamps))


def ask(at_ms: int = 0, **changes: Any) -> Row:
    """A completed one of a single attempt, seen after 55 ms and answered after 115."""
    stamps = {"intended": 0, "first_seen": 55, "ended": 115}
    row = {**{column.name: 0 for column in ASK_COLUMNS}, **PLAIN, "outcome": "completed", "stream": True}
    numbers = {
        "parent": -1,
        "session": -1,
        "samples": 1,
        "output_tokens": 4,
        "attempts": 1,
        "answered_by": -1,
    }
    return _stamped({**row, **numbers, **stamps, **changes}, at_ms, tuple(stamps))


def node(**changes: Any) -> Row:
    return {**{column.name: 0 for column in NODE_COLUMNS}, **PLAIN, **changes}


def preempted(number: int, lost_ms: int, back_ms: int | None, **changes: Any) -> Row:
    """By number 1, whose growth found the pool full; of 40 tokens none is found again."""
    row = {**{column.name: 0 for column in PREEMPTION_COLUMNS}, **PLAIN, "number": number, "by": 1}
    stamps = {"lost": lost_ms, "back": back_ms}
    return _stamped({**row, "cause": "growth", "held_tokens": 40, **stamps, **changes}, 0, tuple(stamps))


def preemptions(*rows: Row) -> pa.Table:
    """Of variant edge and replication 0."""
    return preemption_table("edge", 0, *_columns(PREEMPTION_COLUMNS, rows))


def tables(
    requests: Mapping[tuple[str, int], Sequence[Row]],
    users: Mapping[tuple[str, int], Sequence[Row]] | None = None,
    nodes: Sequence[Row] | None = None,
    asks: Mapping[tuple[str, int], Sequence[Row]] | None = None,
) -> RunTables:
    """Rows by variant and replication; every replication has the same nodes."""
    parts = []
    for (variant, replication), rows in requests.items():
        part = RunTables(
            request_table(variant, replication, *_columns(REQUEST_COLUMNS, rows)),
            node_table(variant, replication, *_columns(NODE_COLUMNS, nodes or [node()])),
            user_request_table(
                variant, replication, *_columns(USER_REQUEST_COLUMNS, users[variant, replication])
            )
            if users is not None
            else None,
            asks=ask_table(variant, replication, *_columns(ASK_COLUMNS, asks[variant, replication]))
            if asks is not None
            else None,
        )
        parts.append(part)
    return concat(parts)


def manifest(variants: Sequence[str] = ("edge",), replications: int = 1, **changes: Any) -> dict[str, Any]:
    """A window of 10 s without warm-up, one source called chat, no objectives."""
    slo = {"ttft_s": None, "tpot_s": None, "e2e_s": None, "felt_s": None, **changes.pop("slo", {})}
    source: dict[str, Any] = {"name": "chat", "tenant": "acme", "place": "edge", "place_label": "Edge"}
    source |= {
        "model": "llama",
        "app": None,
        "app_place": None,
        "calls": 1,
        "mode": None,
        "arrivals": "poisson",
    }
    source |= changes.pop("source", {})
    facts = {
        "variants": [{"name": name, "title": name} for name in variants],
        "sources": [source],
        "sources_by_variant": {name: [source] for name in variants},
        "places": {"edge": {"label": "Edge", "kind": "edge", "rtt_ms": 0.3}},
        "models": {},
        "slo": slo,
        "assumed": [],
    }
    return {
        "format": 2,
        "scenario": "hand",
        "title": "By hand",
        "question": "",
        "seed": 1,
        "replications": replications,
        "replications_done": replications,
        "horizon_s": 10.0,
        "warm_up_s": 0.0,
        "interrupted": False,
        "notes": [],
        "facts": facts,
        **changes,
    }


def _stamped(row: dict[str, Any], at_ms: int, names: Sequence[str]) -> Row:
    for name in names:
        stamp = row.pop(name)
        shift = 0 if name in ("overhead", "cpu") else at_ms
        row[f"{name}_ps"] = -1 if stamp is None else (stamp + shift) * 10**9
    return row


def _columns(spec: Sequence[Column], rows: Sequence[Row]) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    known = {"outcome": list(OUTCOMES), "finish_reason": list(FINISH_REASONS)}
    labels: dict[str, list[str]] = {
        column.name: known.get(column.name) or sorted({row[column.name] for row in rows} | {""})
        for column in spec
        if column.kind == "label"
    }
    columns = {
        column.name: [
            labels[column.name].index(row[column.name]) if column.kind == "label" else row[column.name]
            for row in rows
        ]
        for column in spec
    }
    return columns, labels
