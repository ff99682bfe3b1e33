"""Who has logged in with 8080's command line: of their tokens only digests are kept."""

import sqlite3
from dataclasses import astuple, dataclass

from api_shim.store.database import Database
from api_shim.store.keys import key_name
from api_shim.store.lookups import Lookups, digest_of

KEPT_LOGINS = 1000
"""The newest ones, those revoked included."""


@dataclass(frozen=True, slots=True)
class Login:
    name: str
    """As records call it; gives nothing of the token away."""
    created_s: int
    """Since 1970."""
    revoked_s: int | None


COLUMNS = ", ".join(Login.__slots__)


class Logins:
    """As `Keys`: looked up through a connection of its own, made and revoked through that of the store."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lookups = Lookups(database, self._read)

    def close(self) -> None:
        self._database.close()

    def add(self, token: str, now_s: float) -> Login:
        """Raises StorageFullError."""
        login = Login(key_name(token).replace("key_", "login_"), int(now_s), None)
        with self._database.transaction() as connection:
            connection.execute(
                f"INSERT INTO logins (digest, {COLUMNS}) VALUES (?, ?, ?, ?)",  # noqa: S608 -- our own names
                (digest_of(token), *astuple(login)),
            )
            connection.execute(
                "DELETE FROM logins WHERE rowid IN "
                "(SELECT rowid FROM logins ORDER BY rowid DESC LIMIT -1 OFFSET ?)",
                (KEPT_LOGINS,),
            )
        self._lookups.forget()
        return login

    def revoke(self, name: str, now_s: float) -> bool:
        """For good; False if there is none that could be."""
        with self._database.transaction() as connection:
            sql = "UPDATE logins SET revoked_s = ? WHERE name = ? AND revoked_s IS NULL"
            revoked = connection.execute(sql, (int(now_s), name)).rowcount > 0
        self._lookups.forget()
        return revoked

    def all(self) -> list[Login]:
        """Those revoked, too, in the order of their making."""
        rows = self._database.query(f"SELECT {COLUMNS} FROM logins ORDER BY rowid")  # noqa: S608 -- our own names
        return [_login(row) for row in rows]

    def find(self, token: str) -> Login | None:
        """None for those revoked."""
        self._lookups.look()
        return self._lookups.find(token)

    def _read(self, digest: bytes) -> Login | None:
        sql = f"SELECT {COLUMNS} FROM logins WHERE digest = ? AND revoked_s IS NULL"  # noqa: S608 -- our own names
        rows = self._database.query(sql, (digest,))
        return _login(rows[0]) if rows else None


def _login(row: sqlite3.Row) -> Login:
    return Login(**dict(row))
