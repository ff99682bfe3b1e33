"""What was deployed, and what became of it."""

import sqlite3
from dataclasses import dataclass
from typing import Literal, NamedTuple

from api_shim.store.database import Database

DeploymentStatus = Literal["pending", "in_progress", "running", "dead"]
"""8080's words for the status of a job."""
KEPT_DEPLOYMENTS = 1000
"""Of a project, that are dead."""


@dataclass(frozen=True, slots=True)
class Deployment:
    id: str
    project: str
    artifact: str
    created_s: int
    """Since 1970, as all times here."""
    status: DeploymentStatus
    reason: str
    """Why it has that status: a sentence for people; may be empty."""
    started_s: int | None = None
    """When it first ran."""
    ended_s: int | None = None


COLUMNS = ", ".join(Deployment.__slots__)
IS_LIVE = "status IN ('pending', 'in_progress', 'running')"


class DeploymentPage(NamedTuple):
    deployments: list[Deployment]
    offset: int
    total: int


class Deployments:
    """To another project a deployment does not exist; None is all of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, deployment: Deployment) -> list[Deployment]:
        """Those that were to run and never will, since this one is to. Raises StorageFullError."""
        with self._database.transaction() as connection:
            replaced = connection.execute(
                f"UPDATE deployments SET status = 'dead', reason = ?, ended_s = ? WHERE project = ? AND "  # noqa: S608 -- our own words
                f"status IN ('pending', 'in_progress') RETURNING {COLUMNS}",
                (f"Replaced by {deployment.id}.", deployment.created_s, deployment.project),
            ).fetchall()
            connection.execute(
                f"INSERT INTO deployments ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 -- our own names
                [getattr(deployment, name) for name in Deployment.__slots__],
            )
            connection.execute(
                "DELETE FROM deployments WHERE number IN (SELECT number FROM deployments WHERE project = ? "
                "AND status = 'dead' ORDER BY number DESC LIMIT -1 OFFSET ?)",
                (deployment.project, KEPT_DEPLOYMENTS),
            )
        return [_deployment(row) for row in replaced]

    def get(self, project: str | None, id_: str) -> Deployment | None:
        rows = self._database.query(
            f"SELECT {COLUMNS} FROM deployments WHERE id = ? AND (? IS NULL OR project = ?)",  # noqa: S608 -- our own names
            (id_, project, project),
        )
        return _deployment(rows[0]) if rows else None

    def live(self, project: str | None = None) -> list[Deployment]:
        """Those that run or are to run, oldest first."""
        rows = self._database.query(
            f"SELECT {COLUMNS} FROM deployments WHERE {IS_LIVE} "  # noqa: S608 -- our own names
            "AND (? IS NULL OR project = ?) ORDER BY number",
            (project, project),
        )
        return [_deployment(row) for row in rows]

    def note(self, id_: str, status: DeploymentStatus, reason: str, now_s: int) -> bool:
        """What becomes of one; False for one that is dead already. One that runs replaces those before it."""
        with self._database.transaction() as connection:
            changed = connection.execute(
                f"UPDATE deployments SET status = ?, reason = ?, "  # noqa: S608 -- our own words
                f"started_s = CASE WHEN ? = 'running' THEN coalesce(started_s, ?) ELSE started_s END, "
                f"ended_s = CASE WHEN ? = 'dead' THEN ? END WHERE id = ? AND {IS_LIVE} "
                "RETURNING number, project",
                (status, reason, status, now_s, status, now_s, id_),
            ).fetchone()
            if changed is not None and status == "running":
                connection.execute(
                    f"UPDATE deployments SET status = 'dead', reason = ?, ended_s = ? "  # noqa: S608 -- our own words
                    f"WHERE project = ? AND number < ? AND {IS_LIVE}",
                    (f"Replaced by {id_}.", now_s, changed["project"], changed["number"]),
                )
        return changed is not None

    def page(self, project: str, limit: int, offset: int) -> DeploymentPage:
        """Newest first."""
        rows = self._database.query(
            f"SELECT {COLUMNS} FROM deployments WHERE project = ? ORDER BY number DESC LIMIT ? OFFSET ?",  # noqa: S608 -- our own names
            (project, limit, offset),
        )
        count = self._database.query("SELECT count(*) FROM deployments WHERE project = ?", (project,))
        return DeploymentPage([_deployment(row) for row in rows], offset, count[0][0])


def _deployment(row: sqlite3.Row) -> Deployment:
    return Deployment(**dict(row))
