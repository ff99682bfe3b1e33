"""The user's leg: a user calls an app, the app calls the model k times, the user gets one answer.

With one call, moving the app only shifts a hop from one leg to the other; with many it multiplies that hop.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from simpy import Event

from reports.record import USER_REQUEST_COLUMNS
from sim.callers.session import Answer, Session
from sim.network import Departure, Link
from sim.platform.recorder import Recorder
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


class Visit:
    """One user request on its way through an app.

    The user gets one answer, in one piece: all that the calls gave where they were fanned out, else what the
    last call gave, which has seen the others.
    """

    __slots__ = ("_departure", "_replied", "_sizes", "_visits", "app", "asked", "number", "session", "user")

    def __init__(
        self,
        visits: "Visits",
        user: "User",
        number: int,
        session: Session,
        sizes: Sequence[SizePair],
        replied: "Replied | None",
        user_number: int,
    ) -> None:
        """`sizes` of its calls; the user's own message is as long as the first prompt."""
        self._visits = visits
        self._sizes = sizes
        self.user = user
        self.app = user.app
        self.number = number
        self.session = session
        self.asked = 0
        env = visits.env
        self._replied = replied
        self._departure = user.link.send(env.now, sizes[0][0], user_number)
        env.begin_at(self._story(), self._departure.arrived_ps + self.app.cpu_ps)

    def _story(self) -> Generator[Event, Answer, None]:
        """From when the app has read the request."""
        rounds = [self._sizes] if self.app.fan_out else [[pair] for pair in self._sizes]
        for sizes in rounds:
            self.asked += len(sizes)
            answer = yield self.session.ask_at_once(sizes, self.app.cpu_per_call_ps)
            if not answer.completed:
                break
        self._reply(answer)

    def _reply(self, answer: Answer) -> None:
        now, departure, link = self._visits.env.now, self._departure, self.user.link
        ended_ps = link.whole(departure, now, answer.output_tokens if answer.completed else 0)
        link.release(departure.connection, ended_ps)
        self._visits.record(self, departure, now, ended_ps, answer.outcome)
        if self._replied is not None:
            self._replied(ended_ps, answer.outcome)

    def abandon(self) -> None:
        """The run is over before the answer."""
        self._visits.record(self, self._departure, -1, -1, "unfinished")

    def cpu_ps(self) -> int:
        """The app's work so far along its critical path."""
        rounds = 1 if self.app.fan_out else self.asked
        return self.app.cpu_ps + rounds * self.app.cpu_per_call_ps


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
        session: Session,
        sizes: Sequence[SizePair],
        replied: Replied | None = None,
        user_number: int = -1,
    ) -> None:
        """`user` sends a request now, for which the app asks in `session`.

        `user_number` tells who of its users sends, as for `Link.send`.
        """
        self.inside[number] = Visit(self, user, number, session, sizes, replied, user_number)

    def record_unfinished(self) -> None:
        for visit in list(self.inside.values()):
            visit.abandon()

    def record(self, visit: Visit, departure: Departure, left_ps: int, ended_ps: int, outcome: str) -> None:
        del self.inside[visit.number]
        user, app, codes = visit.user, visit.app, self.records.labels.codes
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
                app.calls,
                *codes(outcome=outcome),
                departure.cold,
                departure.sent_ps,
                departure.connected_ps,
                departure.arrived_ps,
                visit.cpu_ps(),
                left_ps,
                ended_ps,
            )
        )
