"""SQLite through one connection: whoever uses it does so in `Clock.aside`, one at a time.

A commit is on the disk when it returns: the journal is written ahead and synced (WAL, synchronous=FULL),
unless it says otherwise.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from weakref import finalize

from api_shim.store.full_disk import noticing_full_disk
from api_shim.store.migrations import migrate

PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "trusted_schema = OFF")
Value = str | int | bytes | None
Write = Callable[[sqlite3.Connection], None]
"""A part of a transaction; what can go wrong in it is a full disk, and nothing else."""


class Database:
    def __init__(self, file: Path | None) -> None:
        """None: in memory, made when it is first used. A file's own mistakes show in `open`."""
        self._file = file

    def open(self) -> None:
        """Raises sqlite3.DatabaseError where the file is none of SQLite's, and NewerDatabaseError."""
        self.query("SELECT 1")

    def close(self) -> None:
        if "_connection" in vars(self):
            self._connection.close()

    @cached_property
    def _connection(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            ":memory:" if self._file is None else self._file, isolation_level=None, check_same_thread=False
        )
        finalize(self, connection.close)
        connection.row_factory = sqlite3.Row
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        migrate(connection)
        return connection

    def query(self, sql: str, values: Sequence[Value] | Mapping[str, Value] = ()) -> list[sqlite3.Row]:
        return self._connection.execute(sql, values).fetchall()

    @contextmanager
    def transaction(self, *, synced: bool = True) -> Iterator[sqlite3.Connection]:
        """All of what is done in it, or nothing. Raises StorageFullError.

        What is not `synced` is with the system when it is committed: it outlives the process however that
        ends, but the last of it not a loss of power. The next commit that is synced takes it to the disk.
        """
        connection = self._connection
        if not synced:
            connection.execute("PRAGMA synchronous = NORMAL")
        try:
            with self._whole(connection):
                yield connection
        finally:
            if not synced:
                connection.execute("PRAGMA synchronous = FULL")

    @contextmanager
    def _whole(self, connection: sqlite3.Connection) -> Iterator[None]:
        with noticing_full_disk():
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # SQLite has rolled back by itself after some faults
                    connection.execute("ROLLBACK")
                raise
