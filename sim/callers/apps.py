"""The user's leg: a user calls an app, the app calls the model k times, the user gets one answer.

With one call, moving the app only shifts a hop from one leg to the other; with many it multiplies that hop.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from simpy import Event

from reports.record import USER_REQUEST_COLUMNS
from sim.callers.session import Answer, Session
from sim.edge.compute import Compute, Seat
from sim.network import Departure, Link
from sim.platform.recorder import Recorder
from sim.time.events import Begun
from sim.time.timeline import Timeline
from traffic.workload import SizePair

Replied = Callable[[int, str], None]
"""Hears when the reply reaches the user, now or later, and its outcome."""


@dataclass(frozen=True, slots=True)
class App:
    """`cpu_ps` of work comes before the first call, `cpu_per_call_ps` after each answer."""

    name: str
    place: str
    calls: int
    fan_out: bool
    cpu_ps: int
    cpu_per_call_ps: int
    compute: Compute | None = None
    """What it runs on. None has room for all, and does everybody's work at once."""


class Reply(NamedTuple):
    """What an app has for its user."""

    outcome: str
    """As in the record."""
    output_tokens: int


class Work(Protocol):
    """What an app does for one user request, from when it has read the request."""

    @property
    def calls(self) -> int:
        """To the model: those that it makes, or has made."""
        ...

    @property
    def cpu_ps(self) -> int:
        """The app's own work so far along its critical path."""
        ...

    def story(self, seat: Seat | None) -> Generator[Event, Any, Reply]:
        """`seat` is its place on what the app runs on, if the app has such a thing."""
        ...

    def close(self, number: int) -> None:
        """It is done, or will not be: for what it keeps records of. `number` is that of the user request."""
        ...


class Calls:
    """So many calls, in a row or all at once.

    The user gets one answer, in one piece: all that the calls gave where they were fanned out, else what the
    last call gave, which has seen the others.
    """

    __slots__ = ("_app", "_asked", "_session", "_sizes", "calls")

    def __init__(self, app: App, session: Session, sizes: Sequence[SizePair]) -> None:
        self._app = app
        self._session = session
        self._sizes = sizes
        self._asked = 0
        self.calls = app.calls

    def story(self, seat: Seat | None) -> Generator[Event, Any, Reply]:
        work_ps = self._app.cpu_per_call_ps
        rounds = [self._sizes] if self._app.fan_out else [[pair] for pair in self._sizes]
        for sizes in rounds:
            self._asked += len(sizes)
            answer: Answer = yield self._session.ask_at_once(sizes, work_ps if seat is None else 0)
            if seat is not None:
                yield seat.work(work_ps)
            if not answer.completed:
                break
        return Reply(answer.outcome, answer.output_tokens)

    @property
    def cpu_ps(self) -> int:
        rounds = 1 if self._app.fan_out else self._asked
        return self._app.cpu_ps + rounds * self._app.cpu_per_call_ps

    def close(self, number: int) -> None: ...


class Visit:
    """One user request on its way through an app."""

    __slots__ = ("_departure", "_replied", "_visits", "number", "seat", "user", "work")

    def __init__(
        self,
        visits: "Visits",
        user: "User",
        number: int,
        work: Work,
        message_tokens: int,
        replied: Replied | None,
        user_number: int,
    ) -> None:
        self._visits = visits
        self.user = user
        self.number = number
        self.work = work
        self._replied = replied
        env = visits.env
        self._departure = user.link.send(env.now, message_tokens, user_number)
        self.seat: Seat | None = None
        compute, arrived_ps = user.app.compute, self._departure.arrived_ps
        if compute is None:
            Begun(env, self._story(), arrived_ps + user.app.cpu_ps)
        else:
            Begun(env, self._story_on(compute), arrived_ps)

    def _story_on(self, compute: Compute) -> Generator[Event, Any, None]:
        self.seat = seat = yield compute.enter()
        yield seat.work(self.user.app.cpu_ps)
        yield from self._story()
        compute.leave(seat)

    def _story(self) -> Generator[Event, Any, None]:
        reply = yield from self.work.story(self.seat)
        now, departure, link = self._visits.env.now, self._departure, self.user.link
        ended_ps = link.whole(departure, now, reply.output_tokens if reply.outcome == "completed" else 0)
        link.release(departure.connection, ended_ps)
        self._visits.record(self, departure, now, ended_ps, reply.outcome)
        if self._replied is not None:
            self._replied(ended_ps, reply.outcome)

    def abandon(self) -> None:
        """The run is over before the answer."""
        self._visits.record(self, self._departure, -1, -1, "unfinished")


@dataclass(frozen=True, slots=True)
class User:
    """Who sends the user requests of one source."""

    source: str
    tenant: str
    place: str
    app: App
    link: Link


class Visits:
    """All user requests of a run, and their table."""

    def __init__(self, env: Timeline) -> None:
        self.env = env
        self.records = Recorder(USER_REQUEST_COLUMNS)
        self.inside: dict[int, Visit] = {}

    def begin(
        self,
        user: User,
        number: int,
        work: Work,
        message_tokens: int,
        replied: Replied | None = None,
        user_number: int = -1,
    ) -> None:
        """`user` sends a message now, for which the app does `work`.

        `user_number` tells who of its users sends, as for `Link.send`.
        """
        self.inside[number] = Visit(self, user, number, work, message_tokens, replied, user_number)

    def record_unfinished(self) -> None:
        for visit in list(self.inside.values()):
            visit.abandon()

    def record(self, visit: Visit, departure: Departure, left_ps: int, ended_ps: int, outcome: str) -> None:
        del self.inside[visit.number]
        visit.work.close(visit.number)
        user, app, seat, codes = visit.user, visit.user.app, visit.seat, self.records.labels.codes
        self.records.add(
            (
                visit.number,
                *codes(
                    source=user.source,
                    tenant=user.tenant,
                    place=user.place,
                    app=app.name,
                    app_place=app.place,
                ),
                visit.work.calls,
                *codes(outcome=outcome),
                departure.cold,
                departure.sent_ps,
                departure.connected_ps,
                departure.arrived_ps,
                visit.work.cpu_ps,
                left_ps,
                ended_ps,
                0 if seat is None else seat.waited_ps,
                seat is not None and seat.cold,
            )
        )
