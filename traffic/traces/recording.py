"""Sessions as they were recorded: what is asked, after which answers, and how long after them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from traffic.request import Prefix
from traffic.traces.trace import Trace
from traffic.traces.words import TraceError
from traffic.units import IntArray


@dataclass(frozen=True, slots=True)
class RecordedTurn:
    """One request. It leaves when all of `after` are answered and `delay_ps` is over."""

    prompt_tokens: int
    """All of the prompt, whatever was said before included."""
    output_tokens: int
    after: tuple[int, ...] = ()
    """Places of turns of its session, all before its own; none of a turn that waits for no answer."""
    delay_ps: int = 0
    """From the last of those answers; of a turn that waits for none, from the session's start."""
    not_before_ps: int = 0
    """From the session's start, and not before: of formats that stamp turns and no answers."""
    prefix: Prefix = ()
    """How the prompt begins, by names of this recording."""
    sent_ps: int | None = None
    """When it was sent as recorded, from the recording's start; None where the file does not say."""


@dataclass(frozen=True, slots=True)
class RecordedSession:
    """At least one turn; the first one waits for none."""

    name: str
    start_ps: int | None
    """From the recording's start; None where the file leaves that to whoever replays it."""
    turns: tuple[RecordedTurn, ...]

    def followers(self) -> tuple[tuple[int, ...], ...]:
        """By the place of a turn: those that wait for it."""
        found: list[list[int]] = [[] for _ in self.turns]
        for place, turn in enumerate(self.turns):
            for before in turn.after:
                found[before].append(place)
        return tuple(tuple(places) for places in found)


@dataclass(frozen=True)
class Recording:
    """At least one session, in order of their starts."""

    name: str
    sessions: tuple[RecordedSession, ...]
    notes: tuple[str, ...] = ()
    """What was done to the rows on their way here, in sentences."""

    @property
    def turns(self) -> int:
        return sum(len(session.turns) for session in self.sessions)

    @property
    def stamped(self) -> bool:
        """Whether the file says of all turns when they were sent."""
        return all(turn.sent_ps is not None for session in self.sessions for turn in session.turns)

    @property
    def started(self) -> bool:
        """Whether the file says when its sessions start."""
        return all(session.start_ps is not None for session in self.sessions)

    def firsts(self) -> Trace:
        """A row for each session: its start, 0 where the file has none, and its first turn."""
        firsts = [session.turns[0] for session in self.sessions]
        says = any(turn.prefix for session in self.sessions for turn in session.turns)
        return Trace(
            self.name,
            _column(session.start_ps or 0 for session in self.sessions),
            _column(turn.prompt_tokens for turn in firsts),
            _column(turn.output_tokens for turn in firsts),
            None,
            self.notes,
            tuple(turn.prefix for turn in firsts) if says else None,
        )

    def as_sent(self) -> Trace:
        """All turns at the times at which they were sent, for who waits for no answer.

        Raises TraceError where the file has no such times.
        """
        if not self.stamped:
            raise TraceError(
                f"{self.name} does not say when its turns were sent, only what each of them waits for: "
                f"replay it as sessions, with `callers: {{kind: recorded, path: ...}}`"
            )
        turns = [turn for session in self.sessions for turn in session.turns]
        turns.sort(key=lambda turn: turn.sent_ps or 0)
        sent_ps = _column(turn.sent_ps or 0 for turn in turns)
        return Trace(
            self.name,
            sent_ps - sent_ps[0],
            _column(turn.prompt_tokens for turn in turns),
            _column(turn.output_tokens for turn in turns),
            None,
            self.notes,
            tuple(turn.prefix for turn in turns) if any(turn.prefix for turn in turns) else None,
        )


def _column(values: Iterator[int]) -> IntArray:
    return np.fromiter(values, dtype=np.int64)
