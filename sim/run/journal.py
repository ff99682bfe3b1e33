"""What came into a live model from outside, in order: requests, and callers who left. `arrivals.jsonl`.

A line is a request, and reads as a trace of ours (`arrival_ps`, `prompt_tokens`, `output_tokens`) that says
more: all fields of the request, the `order` among everything that came in, and how much of the instant had
`passed` by then, so that a replay cuts it at the same place. A caller who left is part of the request's line.
`request_id` is the `x-request-id` of the answer; by `number` it joins the rows of `requests.parquet`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple, TextIO, cast

from mistakes import UserError
from sim.time.timeline import Timeline
from traffic.request import Request

FILE = "arrivals.jsonl"
DEFAULTS = Request._field_defaults


class JournalError(UserError):
    """One sentence for the user: which line of which file, and what is wrong with it."""


class Entry(NamedTuple):
    """One thing that came in. Without a request, the caller of `number` left."""

    order: int
    at_ps: int
    passed: int
    number: int
    request: Request | None


class Journal:
    """Kept in a temporary file while the server runs: a busy day does not fit into memory."""

    def __init__(self, timeline: Timeline) -> None:
        self.arrivals = 0
        self.first_ps: int | None = None
        self.last_ps: int | None = None
        """When the first and the last request came."""
        self._timeline = timeline
        self._order = 0
        self._left: dict[int, dict[str, int]] = {}
        # Lives as long as the journal.
        self._lines = cast("TextIO", TemporaryFile("w+", encoding="utf-8"))  # noqa: SIM115

    @property
    def left(self) -> int:
        return len(self._left)

    def arrived(self, request: Request, request_id: str) -> None:
        """At this instant, right before it is submitted. `request_id` is what its client calls it."""
        line = _line(request, self._stamp("arrival_ps")) | {"request_id": request_id}
        self._lines.write(json.dumps(line) + "\n")
        self.arrivals += 1
        self.last_ps = self._timeline.now
        if self.first_ps is None:
            self.first_ps = self.last_ps

    def gone(self, number: int) -> None:
        """The caller of request `number` leaves at this instant; only the first time counts."""
        self._left.setdefault(number, self._stamp("at_ps"))

    def write(self, path: Path) -> None:
        self._lines.seek(0)
        with path.open("w", encoding="utf-8", newline="\n") as file:
            for text in self._lines:
                line = json.loads(text)
                left = self._left.get(line["number"])
                file.write(text if left is None else json.dumps(line | {"left": left}) + "\n")
        self._lines.seek(0, 2)

    def close(self) -> None:
        self._lines.close()

    def _stamp(self, when: str) -> dict[str, int]:
        self._order += 1
        return {when: self._timeline.now, "order": self._order, "passed": self._timeline.passed}


def read_journal(path: Path) -> list[Entry]:
    """Everything that came in, in order. Raises JournalError."""
    try:
        texts = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise JournalError(f"{path} cannot be read: {error.strerror}") from None
    entries: list[Entry] = []
    for number, text in enumerate(texts, 1):
        try:
            entries += _entries(json.loads(text))
        except (ValueError, TypeError, KeyError):
            raise JournalError(f"{path} line {number} is not a recorded request") from None
    return sorted(entries)


def _line(request: Request, stamp: dict[str, int]) -> dict[str, Any]:
    """What is as by default is left out."""
    fields = request._asdict()
    rest = {name: value for name, value in fields.items() if name not in DEFAULTS or value != DEFAULTS[name]}
    return stamp | rest


def _entries(line: dict[str, Any]) -> Iterator[Entry]:
    request = Request(**{name: line[name] for name in Request._fields if name in line})
    yield Entry(line["order"], line["arrival_ps"], line["passed"], request.number, request)
    if "left" in line:
        left = line["left"]
        yield Entry(left["order"], left["at_ps"], left["passed"], request.number, None)
