"""The rows of AIPerf's `dag_jsonl`: conversations, their turns, and whom these fork and spawn.

Fields and defaults are those of the package aiperf 0.13, dataset/loader/dag_jsonl_models.py.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

from traffic.spec import MAX_TOKENS
from traffic.tokens import Vocabulary
from traffic.traces.formats.fields import BadValueError, integer, shortly, time_ps
from traffic.traces.formats.json_lines import JsonRow, required

PS_PER_MS = 10**9
MOST_ROUNDS = 10_000
WHOLE_ARRAYS = "message_array_with_responses"
"""The `context_mode` whose turns each state their whole prompt."""


class Said(NamedTuple):
    """A piece of a prompt."""

    name: str
    """The same for the same text."""
    tokens: int


class Spawn(NamedTuple):
    children: Sequence[str]
    join_at: int | None
    """None where nobody waits."""


@dataclass(frozen=True, slots=True)
class DagTurn:
    said: tuple[Said, ...]
    tools: tuple[Said, ...]
    output_tokens: int
    delay_ps: int
    forks: Sequence[str]
    """Nobody waits for them."""
    spawns: Sequence[Spawn]


@dataclass(frozen=True, slots=True)
class DagConversation:
    line: int
    name: str
    turns: Sequence[DagTurn] = ()
    whole_arrays: bool = False
    rounds: Sequence[tuple[Sequence[str], int]] = ()
    """Of an orchestrator, which asks nothing itself: the children of each round, and the ps before it."""
    before: Sequence[str] = ()
    """Children that begin when it does."""

    def children(self) -> Iterator[str]:
        yield from self.before
        for children, _ in self.rounds:
            yield from children
        for turn in self.turns:
            yield from turn.forks
            for spawn in turn.spawns:
                yield from spawn.children


class DagReader:
    """Rows as conversations. BadValueError for what is missing or makes no sense."""

    def __init__(self, words: Vocabulary) -> None:
        self._words = words
        self._known: dict[str, Said] = {}
        self._parts: dict[str, None] = {}
        self._drawn = False

    def conversation(self, line: int, row: JsonRow) -> DagConversation:
        name = _text("session_id", required(row, "session_id"))
        before = _texts("pre_session_spawns", row.get("pre_session_spawns"))
        if row.get("orchestrator"):
            return DagConversation(line, name, rounds=list(self._rounds(row)), before=before)
        turns = _list("turns", required(row, "turns"))
        if not turns:
            raise BadValueError("turns is empty, and only an `orchestrator` has none")
        made = [self._turn(place, turn, len(turns)) for place, turn in enumerate(turns)]
        whole = row.get("context_mode") == WHOLE_ARRAYS
        return DagConversation(line, name, made, whole, before=before)

    def notes(self) -> Iterator[str]:
        yield "Token counts are those of the texts in Llama 3's vocabulary, without a chat template's."
        if self._parts:
            yield f"Parts of messages that are no text, not counted: {', '.join(self._parts)}."
        if self._drawn:
            yield "Think times that AIPerf draws for each round are taken at their median, think_time_ms."

    def _rounds(self, row: JsonRow) -> Iterator[tuple[Sequence[str], int]]:
        think_ps = _ms("think_time_ms", row.get("think_time_ms"))
        self._drawn |= row.get("think_time_sigma") is not None
        rounds = row.get("rounds")
        if isinstance(rounds, list):
            for one in rounds:
                stated = _object("rounds", one)
                think = stated.get("think_time_ms")
                children = _some("spawns", required(stated, "spawns"))
                yield children, think_ps if think is None else _ms("think_time_ms", think)
            return
        number = 1 if rounds is None else _between("rounds", rounds, MOST_ROUNDS)
        shared = _some("spawns", required(row, "spawns"))
        for _ in range(number):
            yield shared, think_ps

    def _turn(self, place: int, value: object, turns: int) -> DagTurn:
        try:
            row = _object("turns", value)
            tools = row.get("tools")
            return DagTurn(
                tuple(self._messages(_list("messages", required(row, "messages")))),
                () if tools is None else (self._counted(json.dumps(tools)),),
                _between("max_tokens", required(row, "max_tokens"), MAX_TOKENS),
                _ms("delay", row.get("delay")),
                list(_forks(row, last=place == turns - 1)),
                list(_spawns(row, place, turns)),
            )
        except BadValueError as problem:
            raise BadValueError(f"turn {place}: {problem}") from None

    def _messages(self, messages: list[object]) -> Iterator[Said]:
        for message in messages:
            said = _object("messages", message)
            content = said.get("content")
            for part in content if isinstance(content, list) else [{"type": "text", "text": content or ""}]:
                if not isinstance(part, dict) or part.get("type") != "text":
                    self._parts[shortly(part.get("type") if isinstance(part, dict) else part)] = None
                elif text := str(part.get("text") or ""):
                    yield self._counted(text)
            if calls := said.get("tool_calls"):
                yield self._counted(json.dumps(calls))

    def _counted(self, text: str) -> Said:
        found = self._known.get(text)
        if found is None:
            name = blake2b(text.encode(errors="replace"), digest_size=12).hexdigest()
            found = self._known[text] = Said(name, self._words.count(text))
        return found


def _forks(row: JsonRow, *, last: bool) -> Iterator[str]:
    for one in _list("forks", row.get("forks") or []):
        stated = one if isinstance(one, dict) else {"child": one}
        if not last and not stated.get("background"):
            raise BadValueError(
                f"it forks {shortly(stated.get('child'))} and is not the last turn: only a fork with "
                f"`background: true` leaves turns to come"
            )
        yield _text("forks", required(stated, "child"))


def _spawns(row: JsonRow, place: int, turns: int) -> Iterator[Spawn]:
    for one in _list("spawns", row.get("spawns") or []):
        if isinstance(one, dict):
            join = one.get("join_at")
            children = _some("children", required(one, "children"))
        else:
            join, children = None, [_text("spawns", one)]
        if join is not None and not place < integer("join_at", join) < turns:
            raise BadValueError(f"join_at is {join}, expected a turn from {place + 1} to {turns - 1}")
        next_turn = place + 1 if place + 1 < turns else None
        yield Spawn(children, next_turn if join is None else integer("join_at", join))


def _between(key: str, value: object, most: int) -> int:
    number = integer(key, value)
    if not 1 <= number <= most:
        raise BadValueError(f"{key} is {number}, expected 1 to {most}")
    return number


def _ms(key: str, value: object) -> int:
    return 0 if value is None else time_ps(key, value, "ms", PS_PER_MS)


def _text(key: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise BadValueError(f"{key} is {shortly(value)}, expected a session_id")
    return value


def _texts(key: str, value: object) -> list[str]:
    return [_text(key, one) for one in _list(key, [] if value is None else value)]


def _some(key: str, value: object) -> list[str]:
    found = _texts(key, value)
    if not found:
        raise BadValueError(f"{key} is empty, expected the session_id of one or more")
    return found


def _list(key: str, value: object) -> list[object]:
    if not isinstance(value, list):
        raise BadValueError(f"{key} is {shortly(value)}, expected a list")
    return value


def _object(key: str, value: object) -> JsonRow:
    if not isinstance(value, dict):
        raise BadValueError(f"{key} has {shortly(value)}, expected an object")
    return value
