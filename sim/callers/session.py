"""A caller that waits for its answers, as a SimPy process.

    def chat(session: Session) -> Generator[Event, Any, None]:
        for prompt_tokens in (100, 300, 500):
            answer = yield session.ask(prompt_tokens, 50)
            if not answer.completed:
                return
            yield session.pause(think_ps)

    env.process(chat(session))

The process goes on when the last byte of the answer has reached the caller. Where that takes no time, it
goes on after the boundaries of the instant: its next request meets every node already in its next step.
Callers who wait for nothing (open-loop traffic) do without a process: `Platform.submit` alone costs a third.
"""

from collections.abc import Callable, Iterable
from operator import index
from typing import Protocol, SupportsIndex

from simpy import Event

from sim.platform.rate_limit import Headroom, Refusal
from sim.platform.ticket import REJECTED, Sink
from sim.time.events import OwnValue
from sim.time.timeline import ARRIVAL, FEEDBACK, Timeline
from traffic.request import Request
from traffic.workload import SizePair


class Asked(Protocol):
    """What was sent: a ticket, or all the attempts of a client that retries."""

    @property
    def request(self) -> Request:
        """The first attempt."""
        ...

    @property
    def output_tokens(self) -> int: ...

    def cancel(self) -> None: ...


ANSWERED = ("stop", "length")
"""Why an answer ends that is whole."""
Send = Callable[[SizePair, Sink], Asked]
"""Sends a request of these sizes, from whoever the session is, with this sink."""


class Answer(OwnValue):
    """What became of one ask, or of several made at once: the value of the event is the answer itself.

    A sink. Requests made at once are answered when the last of them is.
    """

    outcome = "completed"
    """As in the record; of several, the first that was not completed."""
    at_ps = 0
    """When the last byte reached the caller."""
    output_tokens = 0
    """Of all of them together, once they are over."""

    def __init__(self, env: Timeline, asked: int, work_ps: int) -> None:
        super().__init__(env)
        self.tickets: list[Asked] = []
        """Of those that are under way. What is over is let go: whoever thinks keeps no memory warm."""
        self._open = asked
        self._work_ps = work_ps

    @property
    def completed(self) -> bool:
        return self.outcome == "completed"

    def admitted(self, at_ps: int, headroom: Headroom | None) -> None: ...

    def first_token(self, at_ps: int) -> None: ...

    def rejected(self, at_ps: int, refusal: Refusal) -> None:
        self._over(at_ps, REJECTED[refusal.cause])

    def ended(self, at_ps: int, reason: str) -> None:
        self._over(at_ps, "completed" if reason in ANSWERED else reason)

    def _over(self, at_ps: int, outcome: str) -> None:
        if outcome != "completed" and self.outcome == "completed":
            self.outcome = outcome
        self.at_ps = max(self.at_ps, at_ps)
        self._open -= 1
        if not self._open:
            for ticket in self.tickets:
                self.output_tokens += ticket.output_tokens
            self.tickets.clear()
            ready_ps = self.at_ps + self._work_ps
            self.happen_at(ready_ps, FEEDBACK if ready_ps == self.env.now else ARRIVAL)


class Session:
    """One caller's conversation with the platform."""

    def __init__(self, env: Timeline, send: Send) -> None:
        self.env = env
        self._send = send

    def ask(
        self, prompt_tokens: SupportsIndex, output_tokens: SupportsIndex, work_ps: SupportsIndex = 0
    ) -> Answer:
        """Send a request now. The event comes when its answer is there and worked on for `work_ps`.

        Whole numbers that numpy drew will do, here and below.
        """
        answer = Answer(self.env, 1, index(work_ps))
        answer.tickets.append(self._send((index(prompt_tokens), index(output_tokens)), answer))
        return answer

    def ask_at_once(
        self, sizes: Iterable[tuple[SupportsIndex, SupportsIndex]], work_ps: SupportsIndex = 0
    ) -> Answer:
        """Send several requests now, and go on when all of them are answered."""
        wanted = list(sizes)
        assert wanted, "nothing asked, nothing answered"
        answer = Answer(self.env, len(wanted), index(work_ps))
        for prompt_tokens, output_tokens in wanted:
            answer.tickets.append(self._send((index(prompt_tokens), index(output_tokens)), answer))
        return answer

    def pause(self, span_ps: SupportsIndex) -> Event:
        """The caller thinks, or works, for so long."""
        event, ready_ps = Event(self.env.simpy), self.env.now + index(span_ps)
        self.env.succeed_at(event, None, ready_ps, FEEDBACK if ready_ps == self.env.now else ARRIVAL)
        return event
