"""Turns of conversations in a trace of requests: when each is sent, and how long its prompt is.

AIPerf's files give turns of one session a common `session_id`. A later turn has the `delay` after the answer
before it, often no stamp at all, and in `input_length` only the tokens that are new. A replay of recorded
times waits for no answer, so it can tell the delay only from when the turn before was sent.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from traffic.traces.formats.fields import BadValueError, hash_ids, shortly, time_ps, tokens
from traffic.traces.formats.json_lines import JsonRow, required


class SessionClock(NamedTuple):
    unit: str
    ps_per_unit: int

    def ps(self, key: str, value: object) -> int:
        return time_ps(key, value, self.unit, self.ps_per_unit)


class Turn(NamedTuple):
    """What a row asks; also of a request that belongs to no session."""

    at_ps: int
    prompt_tokens: int
    output_tokens: int
    hash_ids: list[int]


@dataclass(frozen=True, slots=True)
class _Session:
    sent_ps: int
    """Of its latest turn."""
    context_tokens: int
    """All prompts and answers so far."""
    whole_blocks: list[int]
    """Those of the first turn that are full: what later prompts are known to begin with."""


class Sessions:
    def __init__(self, clock: SessionClock, block_tokens: int) -> None:
        self._clock = clock
        self._block_tokens = block_tokens
        self._known: dict[object, _Session] = {}
        """A file's sessions may interleave, so none is ever over."""
        self._delayed = self._continued = 0

    def turn(self, row: JsonRow) -> Turn:
        """BadValueError for what is missing or makes no sense."""
        name = row.get("session_id")
        if name is not None and not isinstance(name, str | int):
            raise BadValueError(f"session_id is {shortly(name)}, expected text")
        before = self._known.get(name) if name is not None else None
        prompt = tokens("input_length", required(row, "input_length"))
        output = tokens("output_length", required(row, "output_length"))
        turn = Turn(self._sent_ps(row, before), prompt, output, hash_ids(row))
        if before is not None and prompt and not _restates(turn, before):
            whole = tokens("input_length, with the session so far,", before.context_tokens + prompt)
            turn = turn._replace(prompt_tokens=whole, hash_ids=before.whole_blocks)
            self._continued += 1
        if name is not None:
            blocks = turn.hash_ids[: turn.prompt_tokens // self._block_tokens]
            self._known[name] = _Session(turn.at_ps, turn.prompt_tokens + output, blocks)
        return turn

    def _sent_ps(self, row: JsonRow, before: _Session | None) -> int:
        stamp, delay = row.get("timestamp"), row.get("delay")
        if stamp is not None or delay is None:
            return self._clock.ps("timestamp", required(row, "timestamp"))
        if before is None:
            raise BadValueError(
                "a delay without a timestamp counts from the turn before of the same session_id, and there "
                "is none: state the timestamp"
            )
        self._delayed += 1
        return before.sent_ps + self._clock.ps("delay", delay)

    def notes(self) -> Iterator[str]:
        if self._continued:
            yield (
                f"{_turns(self._continued)} a session: input_length is taken for what is new, and the prompt "
                f"is that after all earlier prompts and answers of the session."
            )
        if self._delayed:
            yield (
                f"Turns with only a delay after the answer before: {self._delayed:,}. No answer is waited "
                f"for here: each is sent that long after the turn before was sent, earlier than it would be."
            )


def _restates(turn: Turn, before: _Session) -> bool:
    """The prompt is given as a whole: it begins with the very block that the session began with."""
    return bool(before.whole_blocks) and turn.hash_ids[:1] == before.whole_blocks[:1]


def _turns(number: int) -> str:
    return "1 turn continues" if number == 1 else f"{number:,} turns continue"
