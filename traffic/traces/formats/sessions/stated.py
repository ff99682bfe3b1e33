"""Our own format: one JSON object per turn, with names for what it waits for and whole picoseconds.

`session_id`, `turn`, `prompt_tokens` and `output_tokens` are read, and where they are there `after` (a list
of turns of the session), `delay_ps`, `not_before_ps` (from the session's start), `start_ps` (of the session,
in the row of its first turn), `sent_ps`, and `prefix`: how the prompt begins, as pairs of a name and the
tokens up to its end.
"""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from traffic.request import Prefix
from traffic.spec import MAX_TOKENS
from traffic.traces.formats.fields import BadValueError, integer, shortly, tokens
from traffic.traces.formats.json_lines import JsonRow, json_lines, required
from traffic.traces.recording import RecordedSession, Recording
from traffic.traces.session_rows import SessionRow, TurnRow, recording_of
from traffic.traces.words import TraceError

KEYS = ("session_id", "turn", "prompt_tokens", "output_tokens")


def read_sessions_jsonl(path: Path, limit_rows: int | None = None) -> Recording:
    sessions: dict[str, list[TurnRow]] = {}
    starts: dict[str, int] = {}
    for line, row in islice(json_lines(path), limit_rows):
        try:
            name = _text("session_id", required(row, "session_id"))
            if "start_ps" in row:
                starts.setdefault(name, _span(row, "start_ps"))
            sessions.setdefault(name, []).append(_turn(line, row, starts.get(name, 0)))
        except BadValueError as problem:
            raise TraceError(f"{path} line {line}: {problem}") from None
    return recording_of(path, [SessionRow(name, starts.get(name), turns) for name, turns in sessions.items()])


def _turn(line: int, row: JsonRow, start_ps: int) -> TurnRow:
    prompt, output = (_some_tokens(row, key) for key in ("prompt_tokens", "output_tokens"))
    after = row.get("after", [])
    if not isinstance(after, list):
        raise BadValueError(f"after is {shortly(after)}, expected a list of turns")
    return TurnRow(
        line,
        _text("turn", required(row, "turn")),
        prompt,
        output,
        tuple(_text("after", one) for one in after),
        _span(row, "delay_ps"),
        start_ps + _span(row, "not_before_ps") if "not_before_ps" in row else None,
        _prefix(row),
        _span(row, "sent_ps") if "sent_ps" in row else None,
    )


def _text(key: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise BadValueError(f"{key} is {shortly(value)}, expected text")
    return value


def _some_tokens(row: JsonRow, key: str) -> int:
    number = tokens(key, required(row, key))
    if not number:
        raise BadValueError(f"{key} is 0, expected 1 or more")
    return number


def _span(row: JsonRow, key: str) -> int:
    span_ps = integer(key, row.get(key, 0))
    if span_ps < 0:
        raise BadValueError(f"{key} is {span_ps}, expected 0 or more")
    return span_ps


def _prefix(row: JsonRow) -> Prefix:
    pairs = row.get("prefix", [])
    found: list[tuple[str, int]] = []
    for pair in pairs if isinstance(pairs, list) else [pairs]:
        if not isinstance(pair, list) or len(pair) != 2:
            raise BadValueError(f"prefix has {shortly(pair)}, expected pairs of a name and an end in tokens")
        name, end = _text("prefix", pair[0]), integer("prefix", pair[1])
        if not (found[-1][1] if found else 0) < end <= MAX_TOKENS:
            raise BadValueError(f"prefix has the end {end}, expected ends that grow, up to {MAX_TOKENS}")
        found.append((name, end))
    return tuple(found)


def sessions_jsonl(recording: Recording) -> Iterator[str]:
    for session in recording.sessions:
        for place, row in enumerate(_rows(session)):
            if place == 0 and session.start_ps is not None:
                row["start_ps"] = session.start_ps
            yield json.dumps(row)


def _rows(session: RecordedSession) -> Iterator[JsonRow]:
    for place, turn in enumerate(session.turns):
        row: JsonRow = dict(
            zip(KEYS, (session.name, str(place), turn.prompt_tokens, turn.output_tokens), strict=True)
        )
        told: JsonRow = {
            "after": [str(before) for before in turn.after],
            "delay_ps": turn.delay_ps,
            "not_before_ps": turn.not_before_ps,
            "prefix": [list(pair) for pair in turn.prefix],
        }
        row |= {key: value for key, value in told.items() if value}
        yield row if turn.sent_ps is None else row | {"sent_ps": turn.sent_ps}
