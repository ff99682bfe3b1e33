"""Who may see the dashboard: whoever knows the token that `serve` tells at its start, for some hours.

Sessions live in memory: a server that ends has signed everybody out.
"""

import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")
SESSION_S = 12 * 3600.0
MOST_SESSIONS = 100
MOST_GUESSES = 10
GUESSES_S = 60.0
"""So many wrong tokens from one address in that time, and it has to wait for the rest of it."""
MOST_ADDRESSES = 1000
SECRET_BYTES = 32


class WrongTokenError(Exception):
    """Somebody guesses, or has a token of an earlier start."""


@dataclass(frozen=True, slots=True)
class TooManyGuessesError(Exception):
    """Nothing of this address is looked at, the right token included."""

    retry_after_s: float


@dataclass(frozen=True, slots=True)
class Session:
    csrf: str
    """Goes into every form; a page of another site cannot know it."""
    until_s: float

    def sent_by(self, csrf: str) -> bool:
        """Whether a form with `csrf` in it is from a page of this session."""
        return secrets.compare_digest(csrf.encode(), self.csrf.encode())


class Sessions:
    """All times are seconds of one clock."""

    def __init__(self, token: str) -> None:
        self._token = _digest(token)
        self._sessions: dict[bytes, Session] = {}
        """By the digest of their cookies, so that looking one up tells nothing about it by its time."""
        self._guesses: dict[str, tuple[int, float]] = {}
        """Of an address: (wrong tokens, until when they count)."""

    def sign_in(self, token: str, address: str, now_s: float) -> str:
        """The cookie of a new session. Raises WrongTokenError and TooManyGuessesError."""
        self.check(token, address, now_s)
        cookie = secrets.token_urlsafe(SECRET_BYTES)
        self._sessions[_digest(cookie)] = Session(secrets.token_urlsafe(SECRET_BYTES), now_s + SESSION_S)
        _forget_first(self._sessions, MOST_SESSIONS)
        return cookie

    def check(self, token: str, address: str, now_s: float) -> None:
        """Raises WrongTokenError and TooManyGuessesError."""
        wrong, until_s = self._guesses.get(address, (0, 0.0))
        if until_s <= now_s:
            wrong, until_s = 0, now_s + GUESSES_S
        if wrong >= MOST_GUESSES:
            raise TooManyGuessesError(until_s - now_s)
        if not secrets.compare_digest(_digest(token), self._token):
            self._guesses.pop(address, None)
            self._guesses[address] = (wrong + 1, until_s)
            _forget_first(self._guesses, MOST_ADDRESSES)
            raise WrongTokenError
        self._guesses.pop(address, None)

    def find(self, cookie: str | None, now_s: float) -> Session | None:
        if cookie is None:
            return None
        digest = _digest(cookie)
        session = self._sessions.get(digest)
        if session is not None and session.until_s <= now_s:
            del self._sessions[digest]
            return None
        return session

    def sign_out(self, cookie: str) -> None:
        self._sessions.pop(_digest(cookie), None)


def _digest(secret: str) -> bytes:
    return sha256(secret.encode(errors="replace")).digest()


def _forget_first(kept: dict[K, V], most: int) -> None:
    while len(kept) > most:
        del kept[next(iter(kept))]
