"""A client that sends recorded requests, and has no more of them under way than it may."""

from collections.abc import Sequence

from sim.callers.in_flight import InFlight
from sim.platform.platform import Platform
from sim.platform.rate_limit import Headroom, Refusal
from sim.time.timeline import Alarm, Timeline
from traffic.request import Request


class Answer:
    """The sink of one request, with its stamps at the caller; -1 for what has not happened."""

    __slots__ = ("_in_flight", "ended_ps", "first_ps", "reason", "sent_ps")

    def __init__(self, in_flight: InFlight | None) -> None:
        self._in_flight = in_flight
        self.sent_ps = self.first_ps = self.ended_ps = -1
        self.reason = ""

    def admitted(self, at_ps: int, headroom: Headroom | None) -> None: ...

    def rejected(self, at_ps: int, refusal: Refusal) -> None:
        self.reason = f"refused: over the limit of {refusal.cause}"
        self._over(at_ps)

    def first_token(self, at_ps: int) -> None:
        self.first_ps = at_ps

    def ended(self, at_ps: int, reason: str) -> None:
        del reason
        self.ended_ps = at_ps
        self._over(at_ps)

    def _over(self, at_ps: int) -> None:
        if self._in_flight is not None:
            self._in_flight.over(at_ps)


class Client:
    """Each request leaves at its time, or when one of `max_concurrency` has been answered: first come, first.

    One arrival is queued at a time, whatever their number.
    """

    def __init__(
        self, env: Timeline, platform: Platform, requests: Sequence[Request], max_concurrency: int | None
    ) -> None:
        """Arrivals are the `intended_ps` of the requests, which may be in any order."""
        self._env = env
        self._platform = platform
        self._requests = requests
        line = None if max_concurrency is None else InFlight(env, max_concurrency, self._send)
        self._leave = self._send if line is None else line.arrive
        self.answers = [Answer(line) for _ in requests]
        self._next = iter(sorted(range(len(requests)), key=lambda number: requests[number].intended_ps))
        self._chain()

    def _chain(self) -> None:
        number = next(self._next, None)
        if number is not None:
            Alarm(self._env, self._requests[number].intended_ps, self._arrive, number)

    def _arrive(self, alarm: Alarm) -> None:
        self._chain()
        self._leave(alarm.subject)

    def _send(self, number: int) -> None:
        self.answers[number].sent_ps = self._env.now
        self._platform.submit(self._requests[number], self.answers[number])
