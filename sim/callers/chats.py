"""Conversations of several turns: each prompt holds all that was said before.

A conversation that has begun goes on after the horizon, as long as the run does. It ends early with an answer
that fails, and where the next turn would not fit the context of its model.
"""

from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple

from simpy import Event

from sim.callers.conversation import Conversation
from sim.callers.session import Answer, Asked, Session
from sim.callers.session_records import SessionRecords, Talk
from sim.platform.ticket import Sink
from traffic.prefixes import NOTHING_IN_COMMON, Beginning
from traffic.workload import SizePair

Say = Callable[[SizePair, str, Sink, int, Beginning, int, int], Asked]
"""(sizes, project, sink, parent, how the prompt begins, session, turn): sends a request of a session."""


class Script(NamedTuple):
    """What one conversation will be if nothing goes wrong: drawn when it begins."""

    sizes: Sequence[SizePair]
    """What is new in each turn."""
    think_ps: Sequence[int]
    """After each answer but the last."""


class Chat:
    """One conversation."""

    __slots__ = (
        "_begins",
        "_context_tokens",
        "_conversation",
        "_project",
        "_records",
        "_say",
        "_script",
        "_talk",
    )

    def __init__(
        self,
        records: SessionRecords,
        talk: Talk,
        script: Script,
        conversation: Conversation,
        context_tokens: int,
        project: str,
        say: Say,
    ) -> None:
        self._records = records
        self._talk = talk
        self._script = script
        self._conversation = conversation
        self._context_tokens = context_tokens
        self._project = project
        self._say = say
        self._begins = NOTHING_IN_COMMON
        records.env.process(self._story())

    def _story(self) -> Generator[Event, Any, None]:
        session, script, at_ps = Session(self._records.env, self._send), self._script, self._talk.began_ps
        for sizes, think_ps in zip(script.sizes, (*script.think_ps, 0), strict=True):
            (prompt, output), beginning = self._conversation.turn(sizes)
            if beginning.tokens + prompt + output > self._context_tokens:
                self._records.end(self._talk, "context_limit", at_ps)
                return
            self._begins = beginning
            self._talk.turns += 1
            # The pause to think is part of the wait for the answer: one event instead of two.
            answer: Answer = yield session.ask(prompt, output, think_ps)
            at_ps = answer.at_ps
            if not answer.completed:
                self._records.end(self._talk, answer.outcome, at_ps)
                return
        self._records.end(self._talk, "completed", at_ps)

    def _send(self, pair: SizePair, sink: Sink) -> Asked:
        talk = self._talk
        return self._say(pair, self._project, sink, -1, self._begins, talk.number, talk.turns - 1)
