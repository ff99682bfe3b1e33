"""Tokens of programs that the platform itself runs: each acts as its project, for as long as it runs."""

import secrets

from api_shim.store.lookups import digest_of

WORKLOAD_PREFIX = "e80w_"
SECRET_BYTES = 32
MOST_WORKLOADS = 10_000


class WorkloadTokens:
    """In memory: the programs end with their server."""

    def __init__(self) -> None:
        self._projects: dict[bytes, str] = {}

    def issue(self, project: str) -> str:
        """To be revoked when its program has ended."""
        assert len(self._projects) < MOST_WORKLOADS
        token = WORKLOAD_PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        self._projects[digest_of(token)] = project
        return token

    def revoke(self, token: str) -> None:
        self._projects.pop(digest_of(token), None)

    def project(self, token: str) -> str | None:
        return self._projects.get(digest_of(token))
