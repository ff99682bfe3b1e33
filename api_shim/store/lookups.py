"""What a secret stands for: remembered, and forgotten as soon as others write to the database."""

from collections.abc import Callable
from hashlib import sha256
from typing import Generic, TypeVar

from api_shim.store.database import Database

T = TypeVar("T")
MOST_REMEMBERED = 10_000
"""Secrets looked up since the database last changed, wrong ones included."""


class Lookups(Generic[T]):
    """Through a connection of its own: one's own writes are what SQLite does not tell of."""

    def __init__(self, database: Database, read: Callable[[bytes], T | None]) -> None:
        """`read` finds what a digest stands for."""
        self._database = database
        self._read = read
        self._version = -1
        self._found: dict[bytes, T | None] = {}

    def find(self, secret: str) -> T | None:
        """As of the last `look`."""
        digest = digest_of(secret)
        if digest not in self._found:
            if len(self._found) >= MOST_REMEMBERED:
                self._found.clear()
            self._found[digest] = self._read(digest)
        return self._found[digest]

    def look(self) -> bool:
        """Forget what was found before somebody else wrote to the database; whether somebody did."""
        version = self._database.query("PRAGMA data_version")[0][0]
        if version == self._version:
            return False
        self._found.clear()
        self._version = version
        return True

    def forget(self) -> None:
        """After a write through this connection."""
        self._version = -1


def digest_of(secret: str) -> bytes:
    """Of what is beyond guessing: it takes no effort to make."""
    return sha256(secret.encode(errors="replace")).digest()
