"""Recorded sessions, replayed: a turn leaves when those that it waits for are answered and its delay is over.

Turns may wait for several answers, and several for one. After an answer that fails nothing more is asked;
what is under way is waited for. A session that has begun goes on after the horizon, as long as the run does.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from simpy import Event

from sim.callers.session import Answer, Asked, Session
from sim.callers.session_records import SessionRecords, Talk
from sim.platform.ticket import Sink
from sim.time.timeline import Alarm
from traffic.prefixes import Beginning
from traffic.traces.recording import RecordedSession, RecordedTurn
from traffic.workload import SizePair

Say = Callable[[SizePair, Sink, Beginning, int], Asked]
"""(sizes, sink, how the prompt begins, turn): sends a request of one session."""


class Script(NamedTuple):
    """A recorded session, with what is worked out once for all who replay it."""

    turns: Sequence[RecordedTurn]
    beginnings: Sequence[Beginning]
    followers: Sequence[Sequence[int]]
    work_ps: Sequence[int]
    """After the answer to a turn: the next one's delay in a session without branches, where it can be part of
    the wait for the answer, one event instead of two. Elsewhere a failure must be heard of at once."""


def script_of(session: RecordedSession, beginnings: Sequence[Beginning]) -> Script:
    turns, followers = session.turns, session.followers()
    in_a_row = all(turn.after == (place - 1,) for place, turn in enumerate(turns) if place)
    work_ps = [turn.delay_ps for turn in turns[1:]] if in_a_row else [0] * (len(turns) - 1)
    return Script(turns, beginnings, followers, [*work_ps, 0])


class Replay:
    """One session."""

    __slots__ = (
        "_asked",
        "_ended_ps",
        "_failed",
        "_records",
        "_say",
        "_script",
        "_session",
        "_talk",
        "_under_way",
        "_waits_for",
    )

    def __init__(self, records: SessionRecords, talk: Talk, script: Script, say: Say) -> None:
        self._records = records
        self._talk = talk
        self._script = script
        self._say = say
        self._session = Session(records.env, self._send)
        self._waits_for = [len(turn.after) for turn in script.turns]
        """Answers that are still to come, by the place of a turn."""
        self._under_way = 0
        """Turns that were asked, or will be at a time that is known."""
        self._asked = 0
        self._failed = ""
        self._ended_ps = talk.began_ps
        for place, turn in enumerate(script.turns):
            if not turn.after:
                self._free(place, turn.delay_ps)

    def _free(self, place: int, delay_ps: int) -> None:
        """The turn waits for no answer any more, only for so long."""
        self._under_way += 1
        env = self._records.env
        at_ps = max(env.now + delay_ps, self._talk.began_ps + self._script.turns[place].not_before_ps)
        if at_ps == env.now:
            self._ask(place)
        else:
            Alarm(env, at_ps, self._ring, place)

    def _ring(self, alarm: Alarm) -> None:
        if self._failed:
            self._over()
        else:
            self._ask(alarm.subject)

    def _ask(self, place: int) -> None:
        turn = self._script.turns[place]
        self._asked = place
        self._talk.turns += 1
        answer = self._session.ask(turn.prompt_tokens, turn.output_tokens, self._script.work_ps[place])
        answer.callbacks.append(partial(self._answered, place))

    def _send(self, pair: SizePair, sink: Sink) -> Asked:
        return self._say(pair, sink, self._script.beginnings[self._asked], self._asked)

    def _answered(self, place: int, answer: Event) -> None:
        """At the time of the answer, or after the work that follows it."""
        assert isinstance(answer, Answer)
        self._ended_ps = answer.at_ps
        if not answer.completed:
            self._failed = self._failed or answer.outcome
        if not self._failed:
            worked_ps = self._script.work_ps[place]
            for follower in self._script.followers[place]:
                self._waits_for[follower] -= 1
                if not self._waits_for[follower]:
                    self._free(follower, self._script.turns[follower].delay_ps - worked_ps)
        self._over()

    def _over(self) -> None:
        """One that was under way is not any more; the session ends with the last of them."""
        self._under_way -= 1
        if not self._under_way:
            assert self._failed or self._talk.turns == len(self._script.turns), "nobody waits for nobody"
            self._records.end(self._talk, self._failed or "completed", self._ended_ps)
