"""A client that sends recorded requests, and has no more of them under way than it may."""

from collections import deque
from collections.abc import Sequence

from sim.platform.platform import Platform
from sim.platform.rate_limit import Headroom, Refusal
from sim.time.timeline import ARRIVAL, FEEDBACK, Alarm, Timeline
from traffic.request import Request


class Answer:
    """The sink of one request, with its stamps at the caller; -1 for what has not happened."""

    __slots__ = ("_client", "ended_ps", "first_ps", "reason", "sent_ps")

    def __init__(self, client: "Client") -> None:
        self._client = client
        self.sent_ps = self.first_ps = self.ended_ps = -1
        self.reason = ""

    def admitted(self, at_ps: int, headroom: Headroom | None) -> None: ...

    def rejected(self, at_ps: int, refusal: Refusal) -> None:
        self.reason = f"refused: over the limit of {refusal.cause}"
        self._client.over(at_ps)

    def first_token(self, at_ps: int) -> None:
        self.first_ps = at_ps

    def ended(self, at_ps: int, reason: str) -> None:
        del reason
        self.ended_ps = at_ps
        self._client.over(at_ps)


class Client:
    """Each request leaves at its time, or when one of `max_concurrency` has been answered: first come, first.

    One arrival is queued at a time, whatever their number. Whoever waits leaves when an answer has reached
    the client, and meets the node in the step that follows.
    """

    def __init__(
        self, env: Timeline, platform: Platform, requests: Sequence[Request], max_concurrency: int | None
    ) -> None:
        """Arrivals are the `intended_ps` of the requests, which may be in any order."""
        self._env = env
        self._platform = platform
        self._requests = requests
        self._free = max_concurrency
        self._line: deque[int] = deque()
        self.answers = [Answer(self) for _ in requests]
        self._next = iter(sorted(range(len(requests)), key=lambda number: requests[number].intended_ps))
        self._chain()

    def over(self, at_ps: int) -> None:
        """An answer is there at `at_ps`, or a refusal."""
        if self._free is not None:
            Alarm(self._env, at_ps, self._one_less, None, FEEDBACK if at_ps == self._env.now else ARRIVAL)

    def _chain(self) -> None:
        number = next(self._next, None)
        if number is not None:
            Alarm(self._env, self._requests[number].intended_ps, self._arrive, number)

    def _arrive(self, alarm: Alarm) -> None:
        self._chain()
        if self._free is None:
            self._send(alarm.subject)
        elif self._free:
            self._free -= 1
            self._send(alarm.subject)
        else:
            self._line.append(alarm.subject)

    def _one_less(self, _alarm: Alarm) -> None:
        assert self._free is not None
        if self._line:
            self._send(self._line.popleft())
        else:
            self._free += 1

    def _send(self, number: int) -> None:
        self.answers[number].sent_ps = self._env.now
        self._platform.submit(self._requests[number], self.answers[number])
