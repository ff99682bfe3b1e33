"""What is known of sandboxes, those that have ended included. They themselves end with their server."""

import json
import sqlite3
from dataclasses import dataclass
from typing import Any, NamedTuple

from api_shim.store.database import Database

KEPT = 10_000
"""Of those that have ended, for each project."""
Json = dict[str, Any]


class OpenPort(NamedTuple):
    target_port: int
    """Inside."""
    as_port: int


@dataclass(frozen=True, slots=True)
class SandboxRow:
    id: str
    project: str
    created_s: int
    """Since 1970, on the shim's clock, as all times here."""
    terminated_s: int | None
    ended_by: str | None
    """Why it has ended."""
    memory_mb: int
    milli_cpus: int
    image: Json
    """As the client stated it; empty where it did not."""
    labels: dict[str, str]
    ports: tuple[OpenPort, ...] = ()


COLUMNS = ", ".join(SandboxRow.__slots__)


class SandboxPage(NamedTuple):
    rows: list[SandboxRow]
    offset: int
    total: int


class StoredSandboxes:
    """To another project a sandbox does not exist."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, row: SandboxRow) -> None:
        """Raises StorageFullError. The oldest that have ended make room."""
        *plain, image, labels, ports = (getattr(row, name) for name in SandboxRow.__slots__)
        values = (*plain, *map(json.dumps, (image, labels, ports)))
        with self._database.transaction() as connection:
            connection.execute(
                f"INSERT INTO sandboxes ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 -- our own names
                values,
            )
            connection.execute(
                "DELETE FROM sandboxes WHERE number IN (SELECT number FROM sandboxes WHERE project = ? "
                "AND terminated_s IS NOT NULL ORDER BY number DESC LIMIT -1 OFFSET ?)",
                (row.project, KEPT),
            )

    def get(self, project: str, id_: str) -> SandboxRow | None:
        rows = self._database.query(
            f"SELECT {COLUMNS} FROM sandboxes WHERE project = ? AND id = ?",  # noqa: S608 -- our own names
            (project, id_),
        )
        return _row(rows[0]) if rows else None

    def page(self, project: str, limit: int, offset: int) -> SandboxPage:
        """Those that run come first, then the newest."""
        total = self._database.query("SELECT count(*) FROM sandboxes WHERE project = ?", (project,))[0][0]
        rows = self._database.query(
            f"SELECT {COLUMNS} FROM sandboxes WHERE project = ? "  # noqa: S608 -- our own names
            "ORDER BY terminated_s IS NOT NULL, number DESC LIMIT ? OFFSET ?",
            (project, limit, offset),
        )
        return SandboxPage([_row(row) for row in rows], offset, total)

    def running(self, project: str) -> int:
        sql = "SELECT count(*) FROM sandboxes WHERE project = ? AND terminated_s IS NULL"
        count: int = self._database.query(sql, (project,))[0][0]
        return count

    def end(self, id_: str, why: str, now_s: int) -> None:
        """Only the first end counts."""
        sql = "UPDATE sandboxes SET terminated_s = ?, ended_by = ? WHERE id = ? AND terminated_s IS NULL"
        with self._database.transaction() as connection:
            connection.execute(sql, (now_s, why, id_))

    def end_all(self, why: str, now_s: int) -> None:
        """Of a server that is not there any more."""
        if self._database.query("SELECT 1 FROM sandboxes WHERE terminated_s IS NULL LIMIT 1"):
            sql = "UPDATE sandboxes SET terminated_s = ?, ended_by = ? WHERE terminated_s IS NULL"
            with self._database.transaction() as connection:
                connection.execute(sql, (now_s, why))

    def ports_of(self, id_: str) -> tuple[OpenPort, ...]:
        rows = self._database.query("SELECT ports FROM sandboxes WHERE id = ?", (id_,))
        return tuple(OpenPort(*pair) for pair in json.loads(rows[0]["ports"])) if rows else ()

    def open_ports(self, id_: str, ports: tuple[OpenPort, ...]) -> None:
        with self._database.transaction() as connection:
            connection.execute("UPDATE sandboxes SET ports = ? WHERE id = ?", (json.dumps(ports), id_))


def _row(row: sqlite3.Row) -> SandboxRow:
    values = dict(row)
    ports = tuple(OpenPort(*pair) for pair in json.loads(values.pop("ports")))
    image, labels = json.loads(values.pop("image")), json.loads(values.pop("labels"))
    return SandboxRow(**values, image=image, labels=labels, ports=ports)
