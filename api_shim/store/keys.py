"""API keys that people made: only digests are kept, so a key is shown once and never again."""

import sqlite3
from dataclasses import astuple, dataclass
from hashlib import blake2b

from api_shim.store.database import Database
from api_shim.store.lookups import Lookups, digest_of

FRESH_BYTES = 32
MOST_KEYS = 10_000


class TooManyKeysError(Exception):
    """There are MOST_KEYS, those revoked included."""


@dataclass(frozen=True, slots=True)
class StoredKey:
    name: str
    """As records call it; gives nothing of the key away."""
    label: str
    """For the people who look at a list."""
    project: str
    created_s: int
    """Since 1970."""
    revoked_s: int | None


COLUMNS = ", ".join(StoredKey.__slots__)


class Keys:
    """Has a connection of its own, so that other processes make and revoke keys while a server uses them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lookups = Lookups(database, self._read)
        self._any = False

    def close(self) -> None:
        self._database.close()

    def add(self, secret: str, label: str, project: str, now_s: float) -> StoredKey:
        """`secret` has to be beyond guessing: its digest takes no effort to make. Raises TooManyKeysError."""
        key = StoredKey(key_name(secret), label, project, int(now_s), None)
        with self._database.transaction() as connection:
            if connection.execute("SELECT count(*) FROM keys").fetchone()[0] >= MOST_KEYS:
                raise TooManyKeysError
            connection.execute(
                f"INSERT INTO keys (digest, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608 -- our own names
                (digest_of(secret), *astuple(key)),
            )
        return key

    def revoke(self, name: str, now_s: float) -> bool:
        """For good; False if there is none that could be."""
        with self._database.transaction() as connection:
            sql = "UPDATE keys SET revoked_s = ? WHERE name = ? AND revoked_s IS NULL"
            return connection.execute(sql, (int(now_s), name)).rowcount > 0

    def all(self) -> list[StoredKey]:
        """Those revoked, too, in the order of their making."""
        rows = self._database.query(f"SELECT {COLUMNS} FROM keys ORDER BY rowid")  # noqa: S608 -- our own names
        return [_key(row) for row in rows]

    def exist(self) -> bool:
        """Whether one was ever made: revoking the last one opens no doors."""
        if self._lookups.look():
            self._any = bool(self._database.query("SELECT 1 FROM keys LIMIT 1"))
        return self._any

    def find(self, secret: str) -> StoredKey | None:
        """None for those revoked."""
        self.exist()
        return self._lookups.find(secret)

    def _read(self, digest: bytes) -> StoredKey | None:
        sql = f"SELECT {COLUMNS} FROM keys WHERE digest = ? AND revoked_s IS NULL"  # noqa: S608 -- our own names
        rows = self._database.query(sql, (digest,))
        return _key(rows[0]) if rows else None


def key_name(secret: str) -> str:
    return f"key_{blake2b(secret.encode(errors='replace'), digest_size=6).hexdigest()}"


def _key(row: sqlite3.Row) -> StoredKey:
    return StoredKey(**dict(row))
