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

DELAYS = ("delay", "delay_ms")
"""AIPerf's name and DynoSim's."""


class SessionClock(NamedTuple):
    unit: str
    ps_per_unit: int

    def ps(self, key: str, value: object) -> int:
        return time_ps(key, value, self.unit, self.ps_per_unit)


class Asked(NamedTuple):
    """What a row asks, with all that was said before it."""

    prompt_tokens: int
    output_tokens: int
    hash_ids: list[int]
    continues: bool = False
    """The prompt begins with all that was said in its session before."""


class Turn(NamedTuple):
    """What a row asks, and when; also of a request that belongs to no session."""

    at_ps: int
    prompt_tokens: int
    output_tokens: int
    hash_ids: list[int]


@dataclass(frozen=True, slots=True)
class _Context:
    tokens: int
    """All prompts and answers so far."""
    whole_blocks: list[int]
    """Those of the first turn that are full: what later prompts are known to begin with."""


class Contexts:
    """What was said in each session so far. A file's sessions may interleave, so none is ever over."""

    def __init__(self, block_tokens: int) -> None:
        self._block_tokens = block_tokens
        self._known: dict[object, _Context] = {}
        self._continued = 0

    def asked(self, row: JsonRow, name: str | int | None) -> Asked:
        """Of the next row of the session `name`. BadValueError for what is missing or makes no sense."""
        before = None if name is None else self._known.get(name)
        prompt = tokens("input_length", required(row, "input_length"))
        output = tokens("output_length", required(row, "output_length"))
        asked = Asked(prompt, output, hash_ids(row))
        if before is not None and prompt and not _restates(asked, before):
            whole = tokens("input_length, with the session so far,", before.tokens + prompt)
            asked = Asked(whole, output, before.whole_blocks, continues=True)
            self._continued += 1
        if name is not None:
            blocks = asked.hash_ids[: asked.prompt_tokens // self._block_tokens]
            self._known[name] = _Context(asked.prompt_tokens + output, blocks)
        return asked

    def notes(self) -> Iterator[str]:
        if self._continued:
            yield (
                f"{_turns(self._continued)} a session: input_length is taken for what is new, and the prompt "
                f"is that after all earlier prompts and answers of the session."
            )


class Sessions:
    """Turns at recorded times, for a replay that waits for no answer."""

    def __init__(self, clock: SessionClock, block_tokens: int) -> None:
        self._clock = clock
        self._contexts = Contexts(block_tokens)
        self._sent: dict[object, int] = {}
        """When the latest turn of each session was."""
        self._delayed = 0

    def turn(self, row: JsonRow) -> Turn:
        """BadValueError for what is missing or makes no sense."""
        name = session_name(row)
        asked = self._contexts.asked(row, name)
        turn = Turn(self._sent_ps(row, self._sent.get(name)), *asked[:3])
        if name is not None:
            self._sent[name] = turn.at_ps
        return turn

    def _sent_ps(self, row: JsonRow, before_ps: int | None) -> int:
        stamp, delay = row.get("timestamp"), delay_key(row)
        if stamp is not None or delay is None:
            return self._clock.ps("timestamp", required(row, "timestamp"))
        if before_ps is None:
            raise BadValueError(
                "a delay without a timestamp counts from the turn before of the same session_id, and there "
                "is none: state the timestamp"
            )
        self._delayed += 1
        return before_ps + self._clock.ps(delay, row[delay])

    def notes(self) -> Iterator[str]:
        yield from self._contexts.notes()
        if self._delayed:
            yield (
                f"Turns with only a delay after the answer before: {self._delayed:,}. No answer is waited "
                f"for here: each is sent that long after the turn before was sent, earlier than it would be."
            )


def delay_key(row: JsonRow) -> str | None:
    """Which of the names of a delay the row has."""
    return next((key for key in DELAYS if row.get(key) is not None), None)


def session_name(row: JsonRow) -> str | int | None:
    """None for a request that belongs to no session."""
    name = row.get("session_id")
    if name is not None and not isinstance(name, str | int):
        raise BadValueError(f"session_id is {shortly(name)}, expected text")
    return name


def _restates(asked: Asked, before: _Context) -> bool:
    """The prompt is given as a whole: it begins with the very block that the session began with."""
    return bool(before.whole_blocks) and asked.hash_ids[:1] == before.whole_blocks[:1]


def _turns(number: int) -> str:
    return "1 turn continues" if number == 1 else f"{number:,} turns continue"
