"""The last lines that an application wrote, without the secrets that it was given."""

import json
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import takewhile

from api_shim.tracing.redaction import LEAST_SECRET, MARK, Redaction

MOST_LINES = 500
LONGEST_LINE = 2000
CUT = " …"
NOTE = "e80sim: "
NEWS = "INFO:"


class AppLog:
    """Of all the lives of one application."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        spellings = {one for secret in secrets for one in _spellings(secret) if len(one) >= LEAST_SECRET}
        self._secrets = sorted(spellings, key=len, reverse=True)
        self._lines: deque[str] = deque(maxlen=MOST_LINES)
        self._begun = b""
        self._cut = False
        """Whether what comes is the rest of a line whose beginning has been told."""
        self._longest_bytes = 2 * LONGEST_LINE + max(
            (len(secret.encode()) for secret in spellings), default=0
        )
        """What is told of a line holds no beginning of a secret that goes on behind it."""
        self._redaction = Redaction("")

    def write(self, data: bytes) -> None:
        *whole, self._begun = (self._begun + data).split(b"\n")
        for line in whole:
            self._add(line)
            self._cut = False
        if len(self._begun) > self._longest_bytes:
            self._add(self._begun)
            self._begun, self._cut = b"", True

    def end(self) -> None:
        """The application has ended: what it has begun to write is its last line."""
        if self._begun:
            self._add(self._begun)
        self._begun, self._cut = b"", False

    def note(self, sentence: str) -> None:
        """Something of ours between its lines."""
        self._lines.append(NOTE + sentence)

    @property
    def lines(self) -> list[str]:
        return list(self._lines)

    def last_words(self) -> str:
        """The last line since the last note that is no mere news; of a traceback it is the error."""
        since_note = takewhile(lambda line: not line.startswith(NOTE), reversed(self._lines))
        return next((line.strip() for line in since_note if line.strip() and not line.startswith(NEWS)), "")

    def _add(self, line: bytes) -> None:
        if self._cut:
            return
        text = line.decode(errors="replace").rstrip("\r")
        for secret in self._secrets:
            text = text.replace(secret, MARK)
        text = self._redaction.text(text)
        self._lines.append(text if len(text) <= LONGEST_LINE else text[:LONGEST_LINE] + CUT)


def _spellings(secret: str) -> Iterator[str]:
    """The whole, each of its lines, since a log is of lines, and what a secret of JSON holds."""
    yield secret
    yield from secret.splitlines()
    try:
        value = json.loads(secret)
    except (ValueError, RecursionError):
        return
    for text in _strings(value):
        yield text
        yield from text.splitlines()


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _strings(one)
