"""From turns as files have them, each with a name and those it waits for, to sessions in order."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from pathlib import Path

from traffic.request import Prefix
from traffic.traces.recording import RecordedSession, RecordedTurn, Recording
from traffic.traces.trace import MAX_SPAN_PS
from traffic.traces.words import TraceError
from traffic.units import PS_PER_S


@dataclass(frozen=True, slots=True)
class TurnRow:
    """A turn as a file has it. Times count from any origin, the same for all turns."""

    line: int
    name: str
    prompt_tokens: int
    output_tokens: int
    after: tuple[str, ...] = ()
    """Names of turns of its session."""
    delay_ps: int = 0
    not_before_ps: int | None = None
    """A time, not a span."""
    prefix: Prefix = ()
    sent_ps: int | None = None


@dataclass(frozen=True, slots=True)
class SessionRow:
    name: str
    start_ps: int | None
    turns: Sequence[TurnRow]


class Skipped:
    """Rows without prompt or without output: nothing was asked, or nothing answered."""

    def __init__(self) -> None:
        self._lines: dict[str, list[int]] = {}

    def __call__(self, line: int, prompt_tokens: int, output_tokens: int) -> bool:
        """Whether the row is such a one; it is counted."""
        if prompt_tokens and output_tokens:
            return False
        self._lines.setdefault("output" if prompt_tokens else "prompt", []).append(line)
        return True

    def notes(self) -> Iterator[str]:
        for what, lines in self._lines.items():
            rows = "1 row" if len(lines) == 1 else f"{len(lines):,} rows"
            first = f"{'' if len(lines) == 1 else 'the first '}in line {lines[0]}"
            yield f"{rows} with 0 {what} tokens skipped ({first})."


def recording_of(path: Path, rows: Iterable[SessionRow], notes: Iterable[str] = ()) -> Recording:
    """Raises TraceError for turns that wait for what there is not, or for each other."""
    sessions = [row for row in rows if row.turns]
    if not sessions:
        raise TraceError(" ".join([f"{path} holds no turns to replay.", *notes]).removesuffix("."))
    _all_or_none_start(path, sessions)
    origin_ps = min((row.start_ps for row in sessions if row.start_ps is not None), default=0)
    made = [_session(path, row, origin_ps) for row in sessions]
    made.sort(key=lambda session: session.start_ps or 0)
    return Recording(path.name, tuple(made), tuple(notes))


def _all_or_none_start(path: Path, sessions: Sequence[SessionRow]) -> None:
    """Sessions that start by the file and others that start by somebody's word make no recording."""
    without = next((row for row in sessions if row.start_ps is None), None)
    if without is None or all(row.start_ps is None for row in sessions):
        return
    raise TraceError(
        f"{path} line {without.turns[0].line}: session {without.name!r} has no start, and others have: "
        f"state it"
    )


def _session(path: Path, row: SessionRow, origin_ps: int) -> RecordedSession:
    start_ps = 0 if row.start_ps is None else row.start_ps
    in_order = _in_order(path, row)
    places = {turn.name: place for place, turn in enumerate(in_order)}
    turns = tuple(
        RecordedTurn(
            turn.prompt_tokens,
            turn.output_tokens,
            tuple(sorted(places[name] for name in turn.after)),
            _bounded(path, turn, "waits", turn.delay_ps),
            0 if turn.not_before_ps is None else _bounded(path, turn, "is", turn.not_before_ps - start_ps),
            turn.prefix,
            None if turn.sent_ps is None else _bounded(path, turn, "is", turn.sent_ps - origin_ps),
        )
        for turn in in_order
    )
    started = None if row.start_ps is None else _bounded(path, in_order[0], "is", start_ps - origin_ps)
    return RecordedSession(row.name, started, turns)


def _bounded(path: Path, turn: TurnRow, does: str, span_ps: int) -> int:
    if not 0 <= span_ps <= MAX_SPAN_PS:
        when = "before its session" if span_ps < 0 else f"{span_ps // (86_400 * PS_PER_S)} days after it"
        raise TraceError(
            f"{path} line {turn.line}: turn {turn.name!r} {does} {when} began, but a recording can span "
            f"from 0 to 106 days"
        )
    return span_ps


def _in_order(path: Path, row: SessionRow) -> list[TurnRow]:
    """Each after all that it waits for, else as in the file."""
    places = _places(path, row)
    waiting = [len(set(turn.after)) for turn in row.turns]
    followers: list[list[int]] = [[] for _ in row.turns]
    for place, turn in enumerate(row.turns):
        for name in set(turn.after):
            if name not in places:
                raise TraceError(
                    f"{path} line {turn.line}: turn {turn.name!r} waits for {name!r}, which is no turn of "
                    f"session {row.name!r}"
                )
            followers[places[name]].append(place)
    ready = [place for place, number in enumerate(waiting) if not number]
    heapify(ready)
    found = []
    while ready:
        place = heappop(ready)
        found.append(replace(row.turns[place], after=tuple(sorted(set(row.turns[place].after)))))
        for follower in followers[place]:
            waiting[follower] -= 1
            if not waiting[follower]:
                heappush(ready, follower)
    if len(found) < len(row.turns):
        _refuse_circle(path, row, places, waiting)
    return found


def _places(path: Path, row: SessionRow) -> dict[str, int]:
    places: dict[str, int] = {}
    for place, turn in enumerate(row.turns):
        if turn.name in places:
            raise TraceError(
                f"{path} line {turn.line}: session {row.name!r} has a turn {turn.name!r} already, in line "
                f"{row.turns[places[turn.name]].line}"
            )
        places[turn.name] = place
    return places


def _refuse_circle(path: Path, row: SessionRow, places: dict[str, int], waiting: Sequence[int]) -> None:
    """Whoever still waits does so for somebody who still waits: going back from one ends in a circle."""
    place = next(place for place, number in enumerate(waiting) if number)
    way: list[int] = []
    while place not in way:
        way.append(place)
        place = next(places[name] for name in row.turns[place].after if waiting[places[name]])
    circle = [row.turns[one] for one in way[way.index(place) :]]
    names = " after ".join(repr(turn.name) for turn in [*circle, circle[0]])
    raise TraceError(
        f"{path} line {circle[0].line}: turns of session {row.name!r} wait for each other: {names}"
    )
