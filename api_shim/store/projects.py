"""Projects that people made with 8080's client: each in an organisation, under a slug of its own."""

import re
import unicodedata
from dataclasses import dataclass

from api_shim.store.database import Database

OWN_ORGANISATION = "local"
"""There from the beginning. Others come into being with their first project."""
MOST_PROJECTS = 10_000
LONGEST_SLUG = 63
"""Of a part of a host's name."""
NOT_IN_A_SLUG = re.compile(r"[^a-z0-9]+")


class TooManyProjectsError(Exception):
    """There are MOST_PROJECTS."""


@dataclass(frozen=True, slots=True)
class PlatformProject:
    slug: str
    """What everything else calls the project."""
    organisation: str
    name: str
    created_s: int
    """Since 1970."""


COLUMNS = ", ".join(PlatformProject.__slots__)


class Projects:
    def __init__(self, database: Database) -> None:
        self._database = database

    def ensure(self, organisation: str, name: str, now_s: float) -> PlatformProject:
        """The same for the same two names, whenever asked. Raises TooManyProjectsError, StorageFullError."""
        found = self._database.query(
            f"SELECT {COLUMNS} FROM platform_projects WHERE organisation = ? AND name = ?",  # noqa: S608 -- our own names
            (organisation, name),
        )
        if found:
            return PlatformProject(**dict(found[0]))
        with self._database.transaction() as connection:
            taken = {row["slug"] for row in connection.execute("SELECT slug FROM platform_projects")}
            if len(taken) >= MOST_PROJECTS:
                raise TooManyProjectsError
            project = PlatformProject(_free(slug_of(name), taken), organisation, name, int(now_s))
            connection.execute(
                f"INSERT INTO platform_projects ({COLUMNS}) VALUES (?, ?, ?, ?)",  # noqa: S608 -- our own names
                (project.slug, organisation, name, project.created_s),
            )
        return project

    def organisation_of(self, slug: str) -> str:
        """A project that nobody has made, but that a key is of, is in the one that was there before."""
        sql = "SELECT organisation FROM platform_projects WHERE slug = ?"
        found = self._database.query(sql, (slug,))
        return found[0]["organisation"] if found else OWN_ORGANISATION

    def organisations(self) -> list[str]:
        """In which there is a project, by name."""
        rows = self._database.query(
            "SELECT DISTINCT organisation FROM platform_projects ORDER BY organisation"
        )
        return [row["organisation"] for row in rows]


def slug_of(name: str) -> str:
    """For URLs and names of hosts: `Café & Bar` is `cafe-bar`."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return NOT_IN_A_SLUG.sub("-", plain).strip("-")[:LONGEST_SLUG].rstrip("-") or "project"


def _free(slug: str, taken: set[str]) -> str:
    number, free = 1, slug
    while free in taken:
        number += 1
        free = f"{slug[: LONGEST_SLUG - 1 - len(str(number))]}-{number}"
    return free
