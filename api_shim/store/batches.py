"""The batches of all projects, and the results of the lines of those that are not over.

A batch goes from one status to the next by comparing and setting, so that whoever cancels and whoever runs it
cannot both win.
"""

import re
import sqlite3
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from api_shim.store.contents import Contents
from api_shim.store.database import Database, Value, Write
from api_shim.store.files import StoredFile, number_of

BATCH_ID = re.compile(r"batch_[0-9a-f]{8}([0-9a-f]{12})", re.ASCII)
"""The server's instance and the row's number."""
BatchStatus = Literal[
    "validating", "in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled"
]
UNFINISHED: tuple[BatchStatus, ...] = ("validating", "in_progress", "finalizing", "cancelling")
MOST_UNFINISHED = 100


class TooManyBatchesError(Exception):
    """MOST_UNFINISHED of the project are not over."""


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """Seconds are since 1970, on the shim's clock, and None where it never came to that."""

    number: int
    id: str
    project: str
    key: str
    tenant: str
    source: str
    """As records call whoever asked for it."""
    endpoint: str
    input_file_id: str
    metadata: str | None
    """JSON, as `errors`."""
    outputs_last_s: int | None
    """How long its output files are kept; None: until somebody deletes them."""
    status: BatchStatus
    created_s: int
    expires_s: int
    updated_s: int
    in_progress_s: int | None
    finalizing_s: int | None
    completed_s: int | None
    failed_s: int | None
    expired_s: int | None
    cancelling_s: int | None
    cancelled_s: int | None
    model: str | None
    """None before it is known, and where there are several."""
    output_file_id: str | None
    error_file_id: str | None
    errors: str | None
    lines: int
    lines_answered: int
    lines_failed: int
    input_tokens: int
    output_tokens: int
    reasoning_tokens: int


COLUMNS = ", ".join(StoredBatch.__slots__)


class NewBatch(NamedTuple):
    project: str
    key: str
    tenant: str
    source: str
    endpoint: str
    metadata: str | None
    outputs_last_s: int | None
    created_s: int
    expires_s: int


class LineResult(NamedTuple):
    """What became of a request: a line of the output file, or of the error file."""

    line: int
    failed: bool
    result: bytes
    input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    along: Sequence[Write] = ()
    """What else is kept of its answer."""


class BatchesListed(NamedTuple):
    batches: list[StoredBatch]
    offset: int
    """Batches of the whole list before these."""
    total: int


class Batches:
    """To another project a batch does not exist. Project None is all of them, for whoever runs the server."""

    def __init__(self, database: Database, contents: Callable[[], Contents]) -> None:
        self._database = database
        self._contents = contents

    def add(self, new: NewBatch, file: StoredFile, instance: str) -> StoredBatch:
        """Durable when this returns, with its input, which it holds until it is over.

        Raises StorageFullError, TooManyBatchesError, and FileNotFoundError where the file has gone by now.
        """
        input_number = number_of(file.id)
        assert input_number is not None
        if self._count(f"project = ? AND status IN {UNFINISHED}", (new.project,)) >= MOST_UNFINISHED:
            raise TooManyBatchesError
        number = 0
        try:
            with self._database.transaction() as connection:
                (last,) = connection.execute(
                    "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'batches'"
                ).fetchone()
                number = last + 1
                values = {
                    **new._asdict(),
                    "number": number,
                    "id": f"batch_{instance}{number:012x}",
                    "input_file_id": file.id,
                    "status": "validating",
                    "updated_s": new.created_s,
                }
                connection.execute(
                    f"INSERT INTO batches ({', '.join(values)}) VALUES ({_marks(values)})",  # noqa: S608 -- our own names
                    tuple(values.values()),
                )
                self._contents().hold(input_number, number)
        except BaseException:
            if number:
                self._contents().let_go(number)
            raise
        return self.read(number)

    def read(self, number: int) -> StoredBatch:
        return self._rows("number = ?", (number,))[0]

    def get(self, project: str | None, batch_id: str) -> StoredBatch | None:
        where, values = _of(project)
        found = self._rows(f"{where} AND id = ?", (*values, batch_id))
        return found[0] if found else None

    def page(
        self, project: str | None, limit: int, offset: int = 0, after: int | None = None
    ) -> BatchesListed:
        """The newest first; `after` is a number, with an offset of 0."""
        where, values = _of(project)
        total = self._count(where, values)
        if after is not None:
            offset = self._count(f"{where} AND number >= ?", (*values, after))
        rows = self._rows(f"{where} ORDER BY number DESC LIMIT ? OFFSET ?", (*values, limit, offset))
        return BatchesListed(rows, offset, total)

    def unfinished(self) -> list[StoredBatch]:
        """In the order of their creation."""
        return self._rows(f"status IN {UNFINISHED} ORDER BY number")

    def move(
        self,
        number: int,
        status: BatchStatus,
        from_: Collection[BatchStatus],
        now_s: float,
        **values: Value,
    ) -> bool:
        """Whether it was in one of the statuses `from_`, and so has gone on. Raises StorageFullError."""
        with self._database.transaction() as connection:
            return _move(connection, number, status, from_, now_s, values)

    def input(self, number: int) -> Path:
        return self._contents().held(number)

    def let_go(self, number: int) -> None:
        """Of its input, once it is over."""
        self._contents().let_go(number)

    # Results

    def record(self, number: int, results: Sequence[LineResult], now_s: float) -> None:
        """All of them count when this returns, or none. Raises StorageFullError."""
        failed = sum(result.failed for result in results)
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT INTO batch_results VALUES (?, ?, ?, ?)",
                ((number, result.line, result.failed, result.result) for result in results),
            )
            for write in (write for result in results for write in result.along):
                write(connection)
            connection.execute(
                "UPDATE batches SET lines_answered = lines_answered + ?, lines_failed = lines_failed + ?,"
                " input_tokens = input_tokens + ?, output_tokens = output_tokens + ?,"
                " reasoning_tokens = reasoning_tokens + ?, updated_s = ? WHERE number = ?",
                (
                    len(results) - failed,
                    failed,
                    sum(result.input_tokens for result in results),
                    sum(result.output_tokens for result in results),
                    sum(result.reasoning_tokens for result in results),
                    int(now_s),
                    number,
                ),
            )

    def recorded(self, number: int) -> set[int]:
        """The lines that must not run again."""
        rows = self._database.query("SELECT line FROM batch_results WHERE batch = ?", (number,))
        return {row["line"] for row in rows}

    def results(self, number: int, *, failed: bool, after_line: int, limit: int) -> list[tuple[int, bytes]]:
        """(line, result) in the order of the input."""
        rows = self._database.query(
            "SELECT line, result FROM batch_results WHERE batch = ? AND failed = ? AND line > ?"
            " ORDER BY line LIMIT ?",
            (number, int(failed), after_line, limit),
        )
        return [(row["line"], row["result"]) for row in rows]

    def sweep(self) -> None:
        """What a killed server left."""
        self._contents().sweep_held({batch.number for batch in self.unfinished()})

    def _rows(self, where: str, values: Sequence[Value] = ()) -> list[StoredBatch]:
        rows = self._database.query(f"SELECT {COLUMNS} FROM batches WHERE {where}", values)  # noqa: S608 -- our own words
        return [StoredBatch(**dict(row)) for row in rows]

    def _count(self, where: str, values: Sequence[Value]) -> int:
        count: int = self._database.query(f"SELECT count(*) FROM batches WHERE {where}", values)[0][0]  # noqa: S608 -- our own words
        return count


def output_kept(
    connection: sqlite3.Connection,
    number: int,
    column: Literal["output_file_id", "error_file_id"],
    file_id: str,
) -> None:
    """Part of the transaction that adds the file."""
    connection.execute(f"UPDATE batches SET {column} = ? WHERE number = ?", (file_id, number))  # noqa: S608 -- our own names


def ended(
    connection: sqlite3.Connection,
    number: int,
    status: BatchStatus,
    from_: Collection[BatchStatus],
    now_s: float,
) -> None:
    """Part of the transaction that adds its last file: results have served their turn."""
    moved = _move(connection, number, status, from_, now_s, {})
    assert moved, (number, status)
    connection.execute("DELETE FROM batch_results WHERE batch = ?", (number,))


def batch_number_of(batch_id: str) -> int | None:
    """None if it is no id of ours."""
    found = BATCH_ID.fullmatch(batch_id)
    return None if found is None else int(found[1], 16)


def _of(project: str | None) -> tuple[str, tuple[Value, ...]]:
    """SQL and its values."""
    return ("TRUE", ()) if project is None else ("project = ?", (project,))


def _move(
    connection: sqlite3.Connection,
    number: int,
    status: BatchStatus,
    from_: Collection[BatchStatus],
    now_s: float,
    values: dict[str, Value],
) -> bool:
    set_ = {**values, "status": status, f"{status}_s": int(now_s), "updated_s": int(now_s)}
    rows = connection.execute(
        f"UPDATE batches SET {', '.join(f'{name} = ?' for name in set_)}"  # noqa: S608 -- our own names
        f" WHERE number = ? AND status IN ({_marks(from_)})",
        (*set_.values(), number, *from_),
    )
    return rows.rowcount > 0


def _marks(values: Collection[object]) -> str:
    return ", ".join("?" * len(values))
