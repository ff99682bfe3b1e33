"""The files of all projects: rows in the database, contents beside it."""

import re
import sqlite3
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from api_shim.store.contents import Contents, Writing
from api_shim.store.database import Database, Value

FILE_ID = re.compile(r"file-[0-9a-f]{8}([0-9a-f]{12})", re.ASCII)
"""The server's instance and the row's number."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    id: str
    project: str
    filename: str
    """As the client gave it: a label, never a path."""
    purpose: str
    size_bytes: int
    created_s: int
    """Since 1970, on the shim's clock, as all times here."""
    expires_s: int | None


COLUMNS = ", ".join(StoredFile.__slots__)
Along = Callable[[sqlite3.Connection, StoredFile], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A piece of a list, in the order of creation."""

    limit: int
    offset: int = 0
    after: int | None = None
    """A number whose file need not be there any more; the offset is 0."""
    newest_first: bool = True
    purpose: str | None = None


class Listed(NamedTuple):
    files: list[StoredFile]
    offset: int
    """Files of the whole list before these."""
    total: int


class Files:
    """To another project a file does not exist; to nobody does one that has expired.

    Project None is all of them, as only whoever runs the server may see and do.
    """

    def __init__(self, database: Database, contents: Callable[[], Contents]) -> None:
        self._database = database
        self._contents = contents
        self.changes = 0
        """Files that came or went, for whoever keeps copies."""

    def begin(self) -> Writing:
        """Raises StorageFullError."""
        return self._contents().begin()

    def add(
        self,
        writing: Writing,
        *,
        instance: str,
        project: str,
        filename: str,
        purpose: str,
        created_s: int,
        expires_s: int | None,
        along: Along | None = None,
    ) -> StoredFile:
        """Row and content are durable when this returns. Raises StorageFullError; then neither is there.

        `along` is done in the same transaction.
        """
        writing.finish()
        self.forget_expired(created_s)
        contents, number = self._contents(), 0
        try:
            with self._database.transaction() as connection:
                (last,) = connection.execute(
                    "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'files'"
                ).fetchone()
                number = last + 1
                id_ = f"file-{instance}{number:012x}"
                file = StoredFile(id_, project, filename, purpose, writing.size_bytes, created_s, expires_s)
                connection.execute(
                    f"INSERT INTO files (number, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 -- our own names
                    (number, *astuple(file)),
                )
                if along is not None:
                    along(connection, file)
                writing.keep(contents.path(number))
        except BaseException:
            if number:
                contents.remove(number)
            raise
        self.changes += 1
        return file

    def get(self, project: str | None, file_id: str, now_s: float) -> StoredFile | None:
        where, values = _live(project, now_s)
        rows = self._rows(f"{where} AND id = ?", (*values, file_id))
        return _file(rows[0]) if rows else None

    def open(self, file: StoredFile) -> BinaryIO | None:
        """Can be read to its end, whoever deletes it meanwhile; None where somebody has by now."""
        try:
            return self.path(file).open("rb")
        except FileNotFoundError:
            return None

    def path(self, file: StoredFile) -> Path:
        number = number_of(file.id)
        assert number is not None
        return self._contents().path(number)

    def page(self, project: str | None, now_s: float, wanted: Wanted) -> Listed:
        where, values = _live(project, now_s)
        if wanted.purpose is not None:
            where, values = f"{where} AND purpose = ?", (*values, wanted.purpose)
        total, offset = self._count(where, values), wanted.offset
        if wanted.after is not None:
            before = "number >= ?" if wanted.newest_first else "number <= ?"
            offset = self._count(f"{where} AND {before}", (*values, wanted.after))
        order = "DESC" if wanted.newest_first else "ASC"
        rows = self._rows(
            f"{where} ORDER BY number {order} LIMIT ? OFFSET ?", (*values, wanted.limit, offset)
        )
        return Listed([_file(row) for row in rows], offset, total)

    def remove(self, project: str | None, file_id: str, now_s: float) -> bool:
        """Whether it was there; gone for good when this returns."""
        where, values = _live(project, now_s)
        return bool(self._remove(f"{where} AND id = ?", (*values, file_id)))

    def forget_expired(self, now_s: float) -> None:
        self._remove("expires_s <= ?", (int(now_s),))

    def sweep(self) -> None:
        """When nothing is on its way in."""
        self._contents().sweep({row["number"] for row in self._database.query("SELECT number FROM files")})

    def _remove(self, where: str, values: tuple[Value, ...]) -> list[int]:
        """The row goes first: a kill between the two leaves bytes for `sweep`, not a row without any."""
        if not self._database.query(f"SELECT 1 FROM files WHERE {where} LIMIT 1", values):  # noqa: S608 -- our own words
            return []
        with self._database.transaction() as connection:
            rows = connection.execute(f"DELETE FROM files WHERE {where} RETURNING number", values).fetchall()  # noqa: S608 -- our own words
        numbers = [row["number"] for row in rows]
        for number in numbers:
            self._contents().remove(number)
        self.changes += len(numbers)
        return numbers

    def _rows(self, where: str, values: tuple[Value, ...]) -> list[sqlite3.Row]:
        return self._database.query(f"SELECT {COLUMNS} FROM files WHERE {where}", values)  # noqa: S608 -- our own words

    def _count(self, where: str, values: tuple[Value, ...]) -> int:
        count: int = self._database.query(f"SELECT count(*) FROM files WHERE {where}", values)[0][0]  # noqa: S608 -- our own words
        return count


def number_of(file_id: str) -> int | None:
    """None if it is no id of ours."""
    found = FILE_ID.fullmatch(file_id)
    return None if found is None else int(found[1], 16)


def _live(project: str | None, now_s: float) -> tuple[str, tuple[Value, ...]]:
    """What has not expired, as SQL and its values."""
    where, values = "(expires_s IS NULL OR expires_s > ?)", (int(now_s),)
    return (where, values) if project is None else (f"project = ? AND {where}", (project, *values))


def _file(row: sqlite3.Row) -> StoredFile:
    return StoredFile(**dict(row))
