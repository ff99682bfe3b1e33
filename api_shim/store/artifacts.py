"""What people deploy: zip files under the hash of their content, whole or still in parts, and their rows.

An upload in parts is a row without a digest; its parts lie on the disk until it is finished.
"""

import json
import sqlite3
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from api_shim.store.contents import BYTES_PER_SYNC, INCOMING, Contents, Writing
from api_shim.store.database import Database

KEPT_ARTIFACTS = 50
"""Of a project, those of deployments that run or wait not counted."""
MOST_UPLOADS = 10
"""In parts, of a project, that are not finished."""
MOST_PARTS = 1000
Json = dict[str, Any]
Check = Callable[[BinaryIO], None]


class TooManyUploadsError(Exception):
    """The project has MOST_UPLOADS."""


class MissingPartError(Exception):
    """Parts are numbered from 1, without gaps; the message names what is missing."""


@dataclass(frozen=True, slots=True)
class Artifact:
    id: str
    project: str
    config: Json
    created_s: int
    """Since 1970."""
    size_bytes: int
    digest: str | None
    """Of its content; None while it is uploaded in parts."""


COLUMNS = ", ".join(Artifact.__slots__)


class HashedWriting(Writing):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._hash = sha256()

    def write(self, pieces: Sequence[bytes]) -> None:
        super().write(pieces)
        for piece in pieces:
            self._hash.update(piece)

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


class Artifacts:
    """To another project an artifact does not exist."""

    def __init__(self, database: Database, contents: Callable[[], Contents]) -> None:
        self._database = database
        self._contents = contents

    def begin(self) -> HashedWriting:
        """Raises StorageFullError."""
        return HashedWriting(self._contents().folder)

    def add(
        self, writing: HashedWriting, id_: str, project: str, config: Json, created_s: int, check: Check
    ) -> Artifact:
        """Durable when this returns. Raises StorageFullError, and what `check` raises of the content."""
        _checked(writing, check)
        artifact = Artifact(id_, project, config, created_s, writing.size_bytes, writing.digest)
        with self._database.transaction() as connection:
            _insert(connection, artifact)
            writing.keep(self.path(artifact))
        self._forget_old(project)
        return artifact

    def open_upload(self, id_: str, project: str, config: Json, created_s: int) -> Artifact:
        """To be uploaded in parts. Raises TooManyUploadsError and StorageFullError."""
        artifact = Artifact(id_, project, config, created_s, 0, None)
        with self._database.transaction() as connection:
            sql = "SELECT count(*) FROM artifacts WHERE project = ? AND digest IS NULL"
            if connection.execute(sql, (project,)).fetchone()[0] >= MOST_UPLOADS:
                raise TooManyUploadsError
            _insert(connection, artifact)
        return artifact

    def add_part(self, artifact: Artifact, number: int, writing: Writing) -> None:
        """Durable when this returns; one that is sent again takes the place of the first."""
        writing.finish()
        writing.keep(self._part(artifact, number))

    def uploaded_bytes(self, artifact: Artifact, without: int) -> int:
        """By its parts so far, but for number `without`."""
        parts = {number: path for number, path in self._parts(artifact).items() if number != without}
        return sum(path.stat().st_size for path in parts.values())

    def finish(self, artifact: Artifact, check: Check) -> Generator[Artifact | None, None, None]:
        """Of its parts a whole, in steps that answer None, but for the last.

        Raises MissingPartError, StorageFullError, and what `check` raises.
        """
        parts = self._parts(artifact)
        missing = next((n for n in range(1, max(parts, default=1) + 1) if n not in parts), None)
        if missing is not None:
            raise MissingPartError(f"part {missing} is missing")
        writing = self.begin()
        try:
            for number in sorted(parts):
                with parts[number].open("rb") as part:
                    while piece := part.read(BYTES_PER_SYNC):
                        writing.write([piece])
                        yield None
            _checked(writing, check)
            whole = Artifact(
                artifact.id,
                artifact.project,
                artifact.config,
                artifact.created_s,
                writing.size_bytes,
                writing.digest,
            )
            with self._database.transaction() as connection:
                sql = "UPDATE artifacts SET size_bytes = ?, digest = ? WHERE id = ?"
                connection.execute(sql, (whole.size_bytes, whole.digest, whole.id))
                writing.keep(self.path(whole))
        finally:
            writing.discard()  # what was kept is not there any more
        for path in parts.values():
            path.unlink(missing_ok=True)
        self._forget_old(artifact.project)
        yield whole

    def get(self, project: str | None, id_: str) -> Artifact | None:
        rows = self._database.query(
            f"SELECT {COLUMNS} FROM artifacts WHERE id = ? AND (? IS NULL OR project = ?)",  # noqa: S608 -- our own names
            (id_, project, project),
        )
        return _artifact(rows[0]) if rows else None

    def path(self, artifact: Artifact) -> Path:
        """Of the zip file of a whole one."""
        assert artifact.digest is not None
        return self._contents().folder / artifact.digest

    def sweep(self) -> None:
        """When nothing is on its way in: contents and parts that no row has."""
        rows = self._database.query("SELECT id, digest FROM artifacts")
        whole = {row["digest"] for row in rows}
        uploads = {row["id"] for row in rows if row["digest"] is None}
        for path in self._contents().folder.iterdir():
            upload, _, part = path.name.partition(".")
            known = upload in uploads if part else path.name in whole
            if path.name.startswith(INCOMING) or not known:
                path.unlink()

    def _part(self, artifact: Artifact, number: int) -> Path:
        return self._contents().folder / f"{artifact.id}.{number}"

    def _parts(self, artifact: Artifact) -> dict[int, Path]:
        found = self._contents().folder.glob(f"{artifact.id}.*")
        return {int(path.suffix[1:]): path for path in found}

    def _forget_old(self, project: str) -> None:
        """Those beyond KEPT_ARTIFACTS that nothing runs or is to run."""
        with self._database.transaction() as connection:
            gone = connection.execute(
                "DELETE FROM artifacts WHERE number IN ("
                " SELECT number FROM artifacts WHERE project = ? AND digest IS NOT NULL AND id NOT IN"
                " (SELECT artifact FROM deployments WHERE status <> 'dead')"
                " ORDER BY number DESC LIMIT -1 OFFSET ?) RETURNING digest",
                (project, KEPT_ARTIFACTS),
            ).fetchall()
        for row in gone:
            used = self._database.query("SELECT 1 FROM artifacts WHERE digest = ? LIMIT 1", (row["digest"],))
            if not used:
                (self._contents().folder / row["digest"]).unlink(missing_ok=True)


def _checked(writing: HashedWriting, check: Check) -> None:
    writing.finish()
    with writing.open() as content:
        check(content)


def _insert(connection: sqlite3.Connection, artifact: Artifact) -> None:
    connection.execute(
        f"INSERT INTO artifacts ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608 -- our own names
        (
            artifact.id,
            artifact.project,
            json.dumps(artifact.config),
            artifact.created_s,
            artifact.size_bytes,
            artifact.digest,
        ),
    )


def _artifact(row: sqlite3.Row) -> Artifact:
    return Artifact(**{**dict(row), "config": json.loads(row["config"])})
