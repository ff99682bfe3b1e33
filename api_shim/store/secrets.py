"""The secrets of all projects. What they hold is sealed before it comes near the disk."""

import json
import sqlite3
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from api_shim.store.database import Database, Value
from api_shim.store.sealing import Seal

MOST_SECRETS = 1000
"""Of a project."""


class SecretExistsError(Exception):
    """The project has another one of this name."""


class TooManySecretsError(Exception):
    """The project has MOST_SECRETS."""


@dataclass(frozen=True, slots=True)
class Secret:
    name: str
    is_local: bool
    """For development: no deployment gets it."""
    type: str
    """`string`, `json` or `openai`."""
    value: Any = field(repr=False)
    """JSON."""

    def text(self) -> str:
        """As a variable of the environment holds it."""
        return self.value if isinstance(self.value, str) else json.dumps(self.value)


class SecretPage(NamedTuple):
    secrets: list[Secret]
    offset: int
    total: int


COLUMNS = "number, project, name, is_local, type, sealed"


class Secrets:
    """To another project a secret does not exist."""

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal

    def add(self, project: str, secret: Secret) -> None:
        """Raises SecretExistsError, TooManySecretsError and StorageFullError."""
        with self._database.transaction() as connection:
            sql = "SELECT count(*) FROM secrets WHERE project = ?"
            if connection.execute(sql, (project,)).fetchone()[0] >= MOST_SECRETS:
                raise TooManySecretsError
            _write(
                connection,
                "INSERT INTO secrets (name, is_local, type, sealed, project) VALUES (?, ?, ?, ?, ?)",
                (*self._values(project, secret), project),
            )

    def get(self, project: str, name: str) -> Secret | None:
        rows = self._database.query(
            f"SELECT {COLUMNS} FROM secrets WHERE project = ? AND name = ?",  # noqa: S608 -- our own names
            (project, name),
        )
        return self._opened(rows[0]) if rows else None

    def replace(self, project: str, name: str, secret: Secret) -> bool:
        """Whether there was one. Raises SecretExistsError where the new name is another's."""
        with self._database.transaction() as connection:
            return _write(
                connection,
                "UPDATE secrets SET name = ?, is_local = ?, type = ?, sealed = ? "
                "WHERE project = ? AND name = ?",
                (*self._values(project, secret), project, name),
            )

    def remove(self, project: str, name: str) -> bool:
        """Whether there was one."""
        with self._database.transaction() as connection:
            sql = "DELETE FROM secrets WHERE project = ? AND name = ?"
            return connection.execute(sql, (project, name)).rowcount > 0

    def page(self, project: str, *, local: bool | None, limit: int, offset: int) -> SecretPage:
        """Oldest first; `local` None: of both kinds."""
        where, values = "project = ? AND (? IS NULL OR is_local = ?)", (project, local, local)
        rows = self._database.query(
            f"SELECT {COLUMNS} FROM secrets WHERE {where} ORDER BY number LIMIT ? OFFSET ?",  # noqa: S608 -- our own words
            (*values, limit, offset),
        )
        total = self._database.query(f"SELECT count(*) FROM secrets WHERE {where}", values)[0][0]  # noqa: S608 -- the same
        return SecretPage([self._opened(row) for row in rows], offset, total)

    def check(self) -> None:
        """Raises WrongSealError where the secrets that are there were sealed with another key."""
        for row in self._database.query(f"SELECT {COLUMNS} FROM secrets LIMIT 1"):  # noqa: S608 -- our own names
            self._opened(row)

    def _values(self, project: str, secret: Secret) -> tuple[Value, ...]:
        plain = json.dumps(secret.value).encode()
        sealed = self._seal.seal(plain, _purpose(project, secret.name))
        return secret.name, int(secret.is_local), secret.type, sealed

    def _opened(self, row: sqlite3.Row) -> Secret:
        plain = self._seal.open(row["sealed"], _purpose(row["project"], row["name"]))
        return Secret(row["name"], bool(row["is_local"]), row["type"], json.loads(plain))


def _purpose(project: str, name: str) -> str:
    """Whoever swaps two rows of the database gains nothing."""
    return f"secret\0{project}\0{name}"


def _write(connection: sqlite3.Connection, sql: str, values: tuple[Value, ...]) -> bool:
    try:
        return connection.execute(sql, values).rowcount > 0
    except sqlite3.IntegrityError:
        raise SecretExistsError from None
