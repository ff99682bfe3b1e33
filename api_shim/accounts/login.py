"""How somebody logs in: asked in a browser, answered with a code, which is good for one token.

Nothing of it outlives the server but the token, of which the store keeps a digest.
"""

import re
import secrets
from dataclasses import dataclass
from hmac import compare_digest
from urllib.parse import SplitResult, quote, urlsplit

from api_shim.store.lookups import digest_of

LOGIN_PREFIX = "e80u_"
"""Of tokens: 8080's client shows what stands before the first `_`, so that must give nothing away."""
ASKED_S, CODE_S = 600.0, 120.0
"""For how long a page may be answered, and a code be turned into a token."""
MOST_OPEN = 1000
SECRET_BYTES = 32
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
LONGEST_REDIRECT = 2000
PLAIN_URI = re.compile(r"[!-~]+")


class BadRedirectError(Exception):
    """The message says what an address must be."""


class NotAskedError(Exception):
    """Nobody has asked for it, or too long ago."""


class BadCodeError(Exception):
    """No code of ours, or used, or too old, or of another state."""


@dataclass(frozen=True, slots=True)
class AskedLogin:
    state: str
    redirect_uri: str
    until_s: float

    @property
    def origin(self) -> str:
        """Where the browser goes back to."""
        parts = urlsplit(self.redirect_uri)
        return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True, slots=True)
class GivenCode:
    state: str
    until_s: float


class LoginFlow:
    """All times are seconds of one clock."""

    def __init__(self) -> None:
        self._asked: dict[str, AskedLogin] = {}
        self._codes: dict[bytes, GivenCode] = {}
        """By digests, so that looking one up tells nothing of it by its time."""

    def ask(self, redirect_uri: str, now_s: float) -> AskedLogin:
        """Raises BadRedirectError."""
        check_redirect(redirect_uri)
        asked = AskedLogin(secrets.token_urlsafe(SECRET_BYTES), redirect_uri, now_s + ASKED_S)
        self._asked[asked.state] = asked
        while len(self._asked) > MOST_OPEN:
            del self._asked[next(iter(self._asked))]
        return asked

    def asked(self, state: str, now_s: float) -> AskedLogin:
        """It stays asked. Raises NotAskedError."""
        asked = self._asked.get(state)
        if asked is None or asked.until_s <= now_s:
            raise NotAskedError
        return asked

    def allow(self, state: str, now_s: float) -> str:
        """Where the browser goes, with a code. Raises NotAskedError."""
        asked = self.asked(state, now_s)
        del self._asked[state]
        code = secrets.token_urlsafe(SECRET_BYTES)
        self._codes[digest_of(code)] = GivenCode(state, now_s + CODE_S)
        while len(self._codes) > MOST_OPEN:
            del self._codes[next(iter(self._codes))]
        return _with_query(asked.redirect_uri, f"code={quote(code)}&state={quote(state)}")

    def deny(self, state: str, now_s: float) -> str:
        """Where the browser goes, without a code, which ends the client. Raises NotAskedError."""
        asked = self.asked(state, now_s)
        del self._asked[state]
        return _with_query(asked.redirect_uri, f"error=access_denied&state={quote(state)}")

    def redeem(self, code: str, state: str, now_s: float) -> str:
        """A new token, once. A code that comes with another state is used up. Raises BadCodeError."""
        given = self._codes.pop(digest_of(code), None)
        if given is None or given.until_s <= now_s or not compare_digest(given.state, state):
            raise BadCodeError
        return LOGIN_PREFIX + secrets.token_urlsafe(SECRET_BYTES)


def check_redirect(redirect_uri: str) -> None:
    """A code goes to nobody but a program on the browser's machine (RFC 8252). Raises BadRedirectError."""
    try:
        parts = urlsplit(redirect_uri)
        port = parts.port
    except ValueError:
        parts, port = SplitResult("", "", "", "", ""), None
    good = (
        PLAIN_URI.fullmatch(redirect_uri)
        and len(redirect_uri) <= LONGEST_REDIRECT
        and parts.scheme == "http"
        and parts.hostname in LOOPBACK
        and port
        and parts.username is None
        and "\\" not in redirect_uri
        and not parts.fragment
    )
    if not good:
        raise BadRedirectError("redirect_uri has to be http://localhost:PORT (or 127.0.0.1, or [::1])")


def _with_query(uri: str, query: str) -> str:
    return f"{uri}{'&' if urlsplit(uri).query else '?'}{query}"
