"""What came into a live model from outside, in order: requests, and callers who left. `arrivals.jsonl`.

A line is a request, and reads as a trace of ours (`arrival_ps`, `prompt_tokens`, `output_tokens`) that says
more: all fields of the request, the `order` among everything that came in, how much of the instant had
`passed` by then, and the order that it had `reached`, so that a replay cuts it at the same place. A caller
who left is part of the request's line, and what somebody broke is part of the first one. `request_id` is the
`x-request-id` of the answer; by `number` it joins the rows of `requests.parquet`.

While a server runs, whoever leaves is a line of its own, for the request's is on the disk already, and so is
whatever breaks.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple, TextIO, cast

from pydantic import TypeAdapter, ValidationError

from e80sim.mistakes import UserError
from sim.faults.kinds import AnyFault, Fault
from sim.time.timeline import ARRIVAL, Timeline
from traffic.request import Request

FILE = "arrivals.jsonl"
FAULT: TypeAdapter[Fault] = TypeAdapter(AnyFault)
DEFAULTS = {field.name: field.default for field in fields(Request)}
"""Of all fields of a request, in their order; what has no default has a value here that equals no other."""


class JournalError(UserError):
    """One sentence for the user: which line of which file, and what is wrong with it."""


class JournalEntry(NamedTuple):
    """One thing that came in. Without a request, the caller of `number` left, or `fault` struck."""

    order: int
    at_ps: int
    passed: int
    reached: int
    number: int
    request: Request | None
    fault: Fault | None = None


class Journal:
    """Written down line by line: a busy day does not fit into memory, and a killed server leaves its journal.

    When a line cannot be written, `problem` says why and nothing more is. The server itself goes on.
    """

    def __init__(self, timeline: Timeline, path: Path | None = None) -> None:
        """Without `path` in a file that nobody else sees."""
        self.arrivals = 0
        self.first_ps: int | None = None
        self.last_ps: int | None = None
        """When the first and the last request came."""
        self.problem: OSError | None = None
        self._timeline = timeline
        self._order = 0
        # Live as long as the journal.
        self._lines = cast(
            "TextIO",
            TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
            if path is None
            else path.open("x+", encoding="utf-8", buffering=1, newline="\n"),
        )

    def arrived(self, request: Request, request_id: str) -> None:
        """At this instant, right before it is submitted. `request_id` is what its client calls it."""
        self._append(_line(request, self._stamp("arrival_ps")) | {"request_id": request_id})
        if self.problem is not None:
            return
        self.arrivals += 1
        self.last_ps = self._timeline.now
        if self.first_ps is None:
            self.first_ps = self.last_ps

    def gone(self, number: int) -> None:
        """The caller of request `number` leaves at this instant; only the first time counts."""
        self._append({"number": number, "left": self._stamp("at_ps")})

    def broke(self, fault: Fault) -> None:
        """Right before it strikes, at this instant."""
        stated = fault.model_dump(mode="json", exclude_unset=True)
        self._append({"fault": {"stated": stated, **self._stamp("at_ps")}})

    def write(self, path: Path) -> None:
        """A line for each request."""
        write_whole(path, self._read)

    def close(self) -> None:
        self._lines.close()

    def _append(self, line: dict[str, Any]) -> None:
        if self.problem is None:
            try:
                self._lines.write(json.dumps(line) + "\n")
            except OSError as error:
                self.problem = error
                with suppress(OSError):  # what could not be written cannot be written now either
                    self._lines.close()

    def _read(self) -> Iterator[dict[str, Any]]:
        self._lines.seek(0)
        yield from map(json.loads, self._lines)
        self._lines.seek(0, 2)

    def _stamp(self, when: str) -> dict[str, int]:
        self._order += 1
        timeline = self._timeline
        stamp = {when: timeline.now, "order": self._order, "passed": timeline.passed}
        return stamp | {"reached": timeline.reached} if timeline.reached else stamp


def write_whole(path: Path, read: Callable[[], Iterable[dict[str, Any]]]) -> None:
    """The lines that `read` gives, each time it is asked, with departures as part of their requests."""
    left: dict[int, dict[str, int]] = {}
    faults: list[dict[str, Any]] = []
    for line in read():
        if "fault" in line:
            faults.append(line["fault"])
        elif _is_departure(line):
            left.setdefault(line["number"], line["left"])
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for line in read():
            if "fault" not in line and not _is_departure(line):
                of_request = left.get(line["number"])
                whole = line if of_request is None else line | {"left": of_request}
                if faults:
                    whole, faults = whole | {"faults": faults}, []
                file.write(json.dumps(whole) + "\n")


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Of a recording; a last line that was cut off is none. Raises JournalError."""
    try:
        texts = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise JournalError(f"{path} cannot be read: {error.strerror}") from None
    for number, text in enumerate(texts, 1):
        try:
            line = json.loads(text) if text else None
        except ValueError:
            if number < len(texts):
                raise _no_request(path, number) from None
            return
        if line is not None:
            yield line


def read_journal(path: Path) -> list[JournalEntry]:
    """Everything that came in, in order. Raises JournalError."""
    entries: list[JournalEntry] = []
    gone: set[int] = set()
    for number, line in enumerate(read_lines(path), 1):
        try:
            entries += _entries(line, gone)
        except (TypeError, KeyError, ValidationError):
            raise _no_request(path, number) from None
    return sorted(entries)


def _no_request(path: Path, number: int) -> JournalError:
    return JournalError(f"{path} line {number} is not a recorded request")


def _line(request: Request, stamp: dict[str, int]) -> dict[str, Any]:
    """What is as by default is left out."""
    values = ((name, getattr(request, name)) for name in DEFAULTS)
    return stamp | {name: value for name, value in values if value != DEFAULTS[name]}


def _is_departure(line: dict[str, Any]) -> bool:
    return "arrival_ps" not in line


def _entries(line: dict[str, Any], gone: set[int]) -> Iterator[JournalEntry]:
    for struck in (line["fault"],) if "fault" in line else line.get("faults", ()):
        fault = FAULT.validate_python(struck["stated"])
        yield JournalEntry(*_moment(struck, "at_ps"), -1, None, fault)
    if "fault" in line:
        return
    if not _is_departure(line):
        members = {name: line[name] for name in DEFAULTS if name in line}
        if "prefix" in members:
            members["prefix"] = tuple((name, end) for name, end in members["prefix"])
        request = Request(**members)
        yield JournalEntry(*_moment(line, "arrival_ps"), request.number, request)
    if "left" in line and line["number"] not in gone:
        gone.add(line["number"])
        yield JournalEntry(*_moment(line["left"], "at_ps"), line["number"], None)


def _moment(stamp: dict[str, Any], when: str) -> tuple[int, int, int, int]:
    return stamp["order"], stamp[when], stamp["passed"], stamp.get("reached", ARRIVAL)
