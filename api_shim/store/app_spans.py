"""What apps report of themselves, as OpenTelemetry's spans, beside the requests of the same trace."""

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from api_shim.store.database import Database

MOST_SPANS = 50_000
"""Of all projects; older ones go."""
MOST_OF_TRACE = 500


@dataclass(frozen=True, slots=True)
class AppSpan:
    project: str
    trace_id: str
    """W3C's, hexadecimal, as the ids of spans."""
    span_id: str
    parent_id: str | None
    name: str
    began_ns: int
    """Since 1970, by the app's own clock."""
    ended_ns: int
    detail: dict[str, Any]
    """`service`, `kind`, `failed` and `attributes`."""


COLUMNS = ", ".join(AppSpan.__slots__)


class AppSpans:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, spans: list[AppSpan]) -> None:
        """Not synced: a loss of power may take the last of them. Raises StorageFullError."""
        with self._database.transaction(synced=False) as connection:
            connection.executemany(
                f"INSERT INTO app_spans ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 -- our own names
                [
                    (
                        span.project,
                        span.trace_id,
                        span.span_id,
                        span.parent_id,
                        span.name,
                        span.began_ns,
                        span.ended_ns,
                        json.dumps(span.detail),
                    )
                    for span in spans
                ],
            )
            connection.execute(
                "DELETE FROM app_spans WHERE number <= (SELECT max(number) FROM app_spans) - ?", (MOST_SPANS,)
            )

    def of_trace(self, project: str, trace_id: str) -> list[AppSpan]:
        """In the order of their beginning, the first MOST_OF_TRACE."""
        rows = self._database.query(
            f"SELECT {COLUMNS} FROM app_spans WHERE project = ? AND trace_id = ? ORDER BY began_ns, number LIMIT ?",  # noqa: S608, E501 -- our own names
            (project, trace_id, MOST_OF_TRACE),
        )
        return [_span(row) for row in rows]


def _span(row: sqlite3.Row) -> AppSpan:
    return AppSpan(**{**dict(row), "detail": json.loads(row["detail"])})
