"""The last lines that an application wrote, without the secrets that it was given."""

from collections import deque
from collections.abc import Iterable
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
        self._secrets = sorted((s for s in secrets if len(s) >= LEAST_SECRET), key=len, reverse=True)
        self._lines: deque[str] = deque(maxlen=MOST_LINES)
        self._begun = b""
        self._redaction = Redaction("")

    def write(self, data: bytes) -> None:
        *whole, self._begun = (self._begun + data).split(b"\n")
        for line in whole:
            self._add(line)
        if len(self._begun) > 2 * LONGEST_LINE:  # what follows of it is told as lines of their own
            self._add(self._begun)
            self._begun = b""

    def end(self) -> None:
        """The application has ended: what it has begun to write is its last line."""
        if self._begun:
            self._add(self._begun)
        self._begun = b""

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
        text = line.decode(errors="replace").rstrip("\r")
        for secret in self._secrets:
            text = text.replace(secret, MARK)
        text = self._redaction.text(text)
        self._lines.append(text if len(text) <= LONGEST_LINE else text[:LONGEST_LINE] + CUT)
