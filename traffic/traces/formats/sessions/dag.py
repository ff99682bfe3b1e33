"""AIPerf's `dag_jsonl`: conversations with their messages, which fork and spawn others and wait for them.

As the package aiperf 0.13 reads it (dataset/loader/dag_jsonl.py). A turn follows the one before it. What it
`forks` goes on from it with all that was said so far, what it `spawns` begins anew; for spawned ones the turn
`join_at` waits, else the next. Children are whole conversations, and several turns may spawn the same one.
A session here is a conversation that nobody forks or spawns, with all that comes of it.

`delay` (ms) counts from the last answer that a turn waits for. AIPerf itself honours it only where that is
the answer of the turn before in the conversation: a turn that waits for children, and a child's first, go at
once there. Whoever waits for a conversation waits for its last turn, not for what that forks.
"""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from traffic.request import Prefix
from traffic.spec import MAX_TOKENS
from traffic.tokens import DEFAULT_VOCABULARY, vocabulary
from traffic.traces.formats.fields import BadValueError
from traffic.traces.formats.json_lines import json_lines
from traffic.traces.formats.sessions.dag_rows import DagConversation, DagReader, DagTurn, Said
from traffic.traces.recording import Recording
from traffic.traces.session_rows import SessionRow, TurnRow, recording_of
from traffic.traces.words import TraceError

MOST_TURNS = 10_000
"""Of one session: conversations that spawn each other twice double with each level."""
MOST_LEVELS = 200
"""Of conversations that come out of each other."""
Names = tuple[str, ...]


def read_dag_jsonl(path: Path, limit_rows: int | None = None) -> Recording:
    """Token counts are those of Llama 3's vocabulary, without what a chat template adds."""
    read = DagReader(vocabulary(DEFAULT_VOCABULARY))
    conversations: dict[str, DagConversation] = {}
    for line, row in islice(json_lines(path), limit_rows):
        try:
            one = read.conversation(line, row)
        except BadValueError as problem:
            raise TraceError(f"{path} line {line}: {problem}") from None
        if one.name in conversations:
            raise TraceError(
                f"{path} line {line}: session_id {one.name!r} stands in line "
                f"{conversations[one.name].line}, too"
            )
        conversations[one.name] = one
    children = {child for one in conversations.values() for child in one.children()}
    rows = [
        _Tree(path, conversations, one).row() for name, one in conversations.items() if name not in children
    ]
    if conversations and not rows:
        first = next(iter(conversations.values()))
        _Tree(path, conversations, first).row()  # which tells the circle that all of them are in
    return recording_of(path, rows, read.notes())


class _Tree:
    """All turns that come of one conversation.

    Whoever plays a conversation gets the turns that end it: its last one, whatever it forks or spawns.
    """

    def __init__(self, path: Path, conversations: dict[str, DagConversation], root: DagConversation) -> None:
        self._path = path
        self._conversations = conversations
        self._root = root
        self._rows: list[TurnRow] = []
        self._played: dict[str, int] = {}

    def row(self) -> SessionRow:
        self._begin(self._root, (), 0, (), ())
        return SessionRow(self._root.name, None, self._rows)

    def _children(
        self,
        of: DagConversation,
        children: Sequence[str],
        after: Names,
        way: Names,
        said: tuple[Said, ...] = (),
        delay_ps: int = 0,
    ) -> Names:
        """Play them side by side once `after` are answered; `way` is whose child `of` is, itself included."""
        ends: list[str] = []
        for name in children:
            child = self._conversations.get(name)
            if child is None:
                raise TraceError(
                    f"{self._path} line {of.line}: session_id {of.name!r} forks or spawns {name!r}, which is "
                    f"the session_id of no row"
                )
            ends += self._begin(child, after, delay_ps, said, way)
        return tuple(ends)

    def _begin(
        self, one: DagConversation, after: Names, delay_ps: int, said: tuple[Said, ...], way: Names
    ) -> Names:
        if one.name in way or len(way) == MOST_LEVELS:
            chain = " of ".join(map(repr, [*way[-3:], one.name][::-1]))
            what = "come out of each other" if one.name in way else f"are more than {MOST_LEVELS} levels deep"
            raise TraceError(f"{self._path} line {one.line}: sessions {what}: {chain}")
        way = (*way, one.name)
        self._children(one, one.before, after, way, delay_ps=delay_ps)
        if one.turns:
            return self._turns(one, after, delay_ps, said, way)
        for children, think_ps in one.rounds:
            after = self._children(one, children, after, way, delay_ps=delay_ps + think_ps)
            delay_ps = 0
        return after

    def _turns(
        self, one: DagConversation, after: Names, delay_ps: int, said: tuple[Said, ...], way: Names
    ) -> Names:
        number = self._played[one.name] = self._played.get(one.name, 0) + 1
        joins: dict[int, Names] = {}
        for place, turn in enumerate(one.turns):
            name = f"{one.name} turn {place}" + (f" of the {number}th" if number > 1 else "")
            prompt = turn.said if one.whole_arrays else (*said, *turn.said)
            answer = Said(f"answer of {self._root.name} {name}", turn.output_tokens)
            waits = (*after, *joins.get(place, ()))
            self._add(one, name, turn, waits, delay_ps, (*turn.tools, *prompt), answer)
            after, said, delay_ps = (name,), (*prompt, answer), 0
            for spawn in turn.spawns:
                ends = self._children(one, spawn.children, after, way)
                if spawn.join_at is not None:
                    joins[spawn.join_at] = (*joins.get(spawn.join_at, ()), *ends)
            self._children(one, turn.forks, after, way, said)
        return after

    def _add(
        self,
        one: DagConversation,
        name: str,
        turn: DagTurn,
        after: Names,
        delay_ps: int,
        prompt: tuple[Said, ...],
        answer: Said,
    ) -> None:
        if len(self._rows) >= MOST_TURNS:
            raise TraceError(
                f"{self._path} line {self._root.line}: of session_id {self._root.name!r} come more than "
                f"{MOST_TURNS:,} turns"
            )
        tokens = sum(said.tokens for said in prompt)
        if not 1 <= tokens <= MAX_TOKENS:
            raise TraceError(
                f"{self._path} line {one.line}: {name!r} has a prompt of {tokens:,} tokens, expected 1 to "
                f"{MAX_TOKENS:,}"
            )
        prefix = _prefix((*prompt, answer))
        delay_ps += turn.delay_ps
        self._rows.append(TurnRow(one.line, name, tokens, turn.output_tokens, after, delay_ps, prefix=prefix))


def _prefix(prompt: tuple[Said, ...]) -> Prefix:
    """Two prompts have in common what they say alike from their beginnings on."""
    ends, end = [], 0
    for said in prompt:
        end += said.tokens
        if said.tokens:
            ends.append((said.name, end))
    return tuple(ends)
