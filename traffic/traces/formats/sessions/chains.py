"""Conversations in Mooncake's keys: AIPerf's sessions with their delays, Bailian's chats with their parents.

A stamp on a later turn says when it was sent, not when the answer before it came. So such a turn leaves at
its stamp, or when that answer is there, whichever is later: as AIPerf's fixed schedule does it. A delay
counts from the answer.
"""

from itertools import islice
from pathlib import Path
from typing import NamedTuple

from traffic.request import Prefix
from traffic.run_names import RunNames
from traffic.traces.formats.fields import BadValueError, integer, time_ps
from traffic.traces.formats.json_lines import JsonRow, json_lines, required
from traffic.traces.formats.sessions.contexts import DELAYS, Asked, Contexts, delay_key, session_name
from traffic.traces.prefix_blocks import BAILIAN_BLOCK_TOKENS, MOONCAKE_BLOCK_TOKENS
from traffic.traces.recording import Recording
from traffic.traces.session_rows import SessionRow, Skipped, TurnRow, recording_of
from traffic.traces.words import TraceError
from traffic.units import PS_PER_S

PS_PER_MS = 10**9
READ = {"timestamp", *DELAYS, "session_id", "input_length", "output_length", "hash_ids"}
READ_OF_BAILIAN = {"timestamp", "chat_id", "parent_chat_id", "input_length", "output_length", "hash_ids"}
NO_PARENT = -1


def read_mooncake_sessions(path: Path, limit_rows: int | None = None) -> Recording:
    """Rows with one `session_id` are turns of one session, in their order; a row without one is a session."""
    return _Chains(path).read(limit_rows)


class _Session(NamedTuple):
    start_ps: int | None
    turns: list[TurnRow]


class _Chains:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._contexts = Contexts(MOONCAKE_BLOCK_TOKENS)
        self._prefixes = _Prefixes(MOONCAKE_BLOCK_TOKENS)
        self._sessions: dict[str, _Session] = {}
        self._skipped = Skipped()
        self._unread: dict[str, None] = {}

    def read(self, limit_rows: int | None) -> Recording:
        for line, row in islice(json_lines(self._path), limit_rows):
            try:
                self._add(line, row)
            except BadValueError as problem:
                raise TraceError(f"{self._path} line {line}: {problem}") from None
            self._unread.update(dict.fromkeys(key for key in row if key not in READ))
        rows = [SessionRow(name, *session) for name, session in self._sessions.items()]
        unread = [f"Keys not read: {', '.join(self._unread)}."] if self._unread else []
        return recording_of(self._path, rows, [*self._contexts.notes(), *self._skipped.notes(), *unread])

    def _add(self, line: int, row: JsonRow) -> None:
        stated = session_name(row)
        name = f"line {line}" if stated is None else str(stated)
        asked = self._contexts.asked(row, stated)
        stamp_ps, delay = _time_ps(row, "timestamp"), delay_key(row)
        delay_ps = None if delay is None else _time_ps(row, delay)
        session = self._sessions.setdefault(name, _Session(stamp_ps, []))
        prefix = self._prefixes.of(name, line, asked, alone=stated is None)
        if self._skipped(line, asked.prompt_tokens, asked.output_tokens):
            return
        if stamp_ps is not None and session.start_ps is None:
            raise BadValueError(
                f"timestamp is {row['timestamp']}, and the first turn of session_id {name!r} has none: "
                f"state it there, too"
            )
        session.turns.append(
            TurnRow(
                line,
                f"line {line}",
                asked.prompt_tokens,
                asked.output_tokens,
                tuple(turn.name for turn in session.turns[-1:]),
                delay_ps or 0,
                stamp_ps if session.turns else None,
                prefix,
                stamp_ps,
            )
        )


def _time_ps(row: JsonRow, key: str) -> int | None:
    value = row.get(key)
    return None if value is None else time_ps(key, value, "ms", PS_PER_MS)


class _Prefixes:
    """What the prompts of a file have in common: by their blocks, and behind these by their sessions."""

    def __init__(self, block_tokens: int) -> None:
        self._block_tokens = block_tokens
        self._names = RunNames()
        self._known: dict[str, tuple[Prefix, str]] = {}
        """By session: blocks of the last turn that stated its whole prompt, and the name of what follows."""

    def of(self, session: str, line: int, asked: Asked, *, alone: bool) -> Prefix:
        if not asked.continues:
            here = f"line {line}"
            blocks = self._names.prefix(asked.hash_ids, self._block_tokens, asked.prompt_tokens, here)
            if alone:
                return blocks
            self._known[session] = blocks, f"{here} on"
        blocks, tail = self._known[session]
        return (*blocks, (tail, asked.prompt_tokens + asked.output_tokens))


def read_bailian_chats(path: Path, limit_rows: int | None = None) -> Recording:
    """Each row states its whole prompt; a chat goes on from its `parent_chat_id`, which -1 is for none."""
    return _Chats(path).read(limit_rows)


class _Chats:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._contexts, self._names = Contexts(BAILIAN_BLOCK_TOKENS), RunNames()
        self._root_of: dict[int, int] = {}
        """By chat: the first of its conversation."""
        self._sessions: dict[int, _Session] = {}
        self._skipped = Skipped()
        self._orphans = 0

    def read(self, limit_rows: int | None) -> Recording:
        for line, row in islice(json_lines(self._path), limit_rows):
            try:
                self._add(line, row)
            except BadValueError as problem:
                raise TraceError(f"{self._path} line {line}: {problem}") from None
        rows = [SessionRow(f"chat {root}", *session) for root, session in self._sessions.items()]
        orphans = (
            [f"Chats whose parent_chat_id is no earlier row, taken for first ones: {self._orphans:,}."]
            if self._orphans
            else []
        )
        return recording_of(self._path, rows, [*self._skipped.notes(), *orphans])

    def _add(self, line: int, row: JsonRow) -> None:
        chat = integer("chat_id", required(row, "chat_id"))
        parent = integer("parent_chat_id", row.get("parent_chat_id", NO_PARENT))
        sent_ps = time_ps("timestamp", required(row, "timestamp"), "seconds", PS_PER_S)
        asked = self._contexts.asked(row, None)
        if self._skipped(line, asked.prompt_tokens, asked.output_tokens):
            return
        root = self._root_of.get(parent)
        self._orphans += root is None and parent != NO_PARENT
        self._root_of[chat] = chat if root is None else root
        session = self._sessions.setdefault(self._root_of[chat], _Session(sent_ps, []))
        prompt = asked.prompt_tokens
        session.turns.append(
            TurnRow(
                line,
                f"chat {chat}",
                prompt,
                asked.output_tokens,
                () if root is None else (f"chat {parent}",),
                not_before_ps=None if root is None else sent_ps,
                prefix=self._names.prefix(asked.hash_ids, BAILIAN_BLOCK_TOKENS, prompt, f"line {line}"),
                sent_ps=sent_ps,
            )
        )
