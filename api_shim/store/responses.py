"""The responses of all projects, with what they were asked: to another project they do not exist."""

import sqlite3
from dataclasses import astuple, dataclass

from api_shim.store.database import Database

MOST_ON_DISK, MOST_IN_MEMORY = 100_000, 10_000
"""Responses kept. The oldest that are over go first."""
ADDED_PER_FORGETTING = 64
MOST_TURNS = 2048
"""Of a chain, that are looked at."""


@dataclass(frozen=True, slots=True)
class StoredResponse:
    id: str
    project: str
    created_s: int
    """Since 1970, on the shim's clock."""
    previous_id: str | None
    """The response whose conversation it goes on with."""
    response: str
    """As clients see it: JSON."""
    items: str
    """What came in with it: JSON, with ids."""
    tokens: str | None = None
    """Of the answer of a background response, from which its events can be told again: JSON."""
    task: str | None = None
    """What a background response that is not over needs to be run: JSON."""


COLUMNS = ", ".join(StoredResponse.__slots__)
CHAIN = f"""
    WITH RECURSIVE chain (depth, id, previous_id, response, items, over) AS (
        SELECT 1, id, previous_id, response, items, task IS NULL
        FROM responses WHERE project = :project AND id = :id
        UNION ALL
        SELECT depth + 1, of.id, of.previous_id, of.response, of.items, of.task IS NULL
        FROM chain JOIN responses AS of ON of.id = chain.previous_id
        WHERE of.project = :project AND depth <= {MOST_TURNS}
    )
    SELECT id, previous_id, response, items, over FROM chain ORDER BY depth DESC
"""  # noqa: S608 -- our own number


@dataclass(frozen=True, slots=True)
class StoredTurn:
    """A response as later ones see it."""

    id: str
    previous_id: str | None
    response: str
    items: str
    over: bool


class Responses:
    """What changes it takes the connection of a transaction, so that several changes can share one."""

    def __init__(self, database: Database, most: int) -> None:
        self._database = database
        self._most = most

    def add(self, connection: sqlite3.Connection, response: StoredResponse) -> None:
        (number,) = connection.execute(
            f"INSERT INTO responses ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING number",  # noqa: S608 -- our own names
            astuple(response),
        ).fetchone()
        if number % ADDED_PER_FORGETTING == 0:
            sql = "DELETE FROM responses WHERE task IS NULL AND number <= ?"
            connection.execute(sql, (number - self._most,))

    def finish(self, connection: sqlite3.Connection, id_: str, response: str, tokens: str | None) -> bool:
        """Of a background response: False where it is over already, or deleted, and nothing changes."""
        sql = "UPDATE responses SET response = ?, tokens = ?, task = NULL WHERE id = ? AND task IS NOT NULL"
        return connection.execute(sql, (response, tokens, id_)).rowcount > 0

    def remove(self, connection: sqlite3.Connection, project: str, id_: str) -> None:
        connection.execute("DELETE FROM responses WHERE project = ? AND id = ?", (project, id_))

    def get(self, project: str, id_: str) -> StoredResponse | None:
        rows = self._database.query(
            f"SELECT {COLUMNS} FROM responses WHERE project = ? AND id = ?",  # noqa: S608 -- our own names
            (project, id_),
        )
        return StoredResponse(**dict(rows[0])) if rows else None

    def chain(self, project: str, id_: str) -> list[StoredTurn]:
        """The response and those before it, the oldest first, as far as they are there."""
        rows = self._database.query(CHAIN, {"project": project, "id": id_})
        return [StoredTurn(**{**dict(row), "over": bool(row["over"])}) for row in rows]

    def unfinished(self) -> list[StoredResponse]:
        """Background responses that a server has left, in the order of their making."""
        rows = self._database.query(
            f"SELECT {COLUMNS} FROM responses WHERE task IS NOT NULL ORDER BY number"  # noqa: S608 -- our own names
        )
        return [StoredResponse(**dict(row)) for row in rows]
