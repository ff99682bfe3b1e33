"""The user's leg: a user calls an app, the app calls the model k times, the user gets one answer.

With one call, moving the app only shifts a hop from one leg to the other; with many it multiplies that hop.
"""

from collections.abc import Callable
from dataclasses import dataclass

from reports.record import USER_REQUEST_COLUMNS
from sim.network import Departure, Link
from sim.platform.rate_limit import Headroom, Refusal
from sim.platform.recorder import Recorder
from sim.platform.ticket import REJECTED
from sim.time.timeline import ARRIVAL, FEEDBACK, Alarm, Timeline

Call = Callable[["Visit"], int]
"""Sends the next model request of a visit, with the visit as its sink; returns the tokens of its answer."""


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
    """One user request on its way through an app; the sink of each of its model requests.

    The user gets one answer, in one piece: all that the calls gave where they were fanned out, else what the
    last call gave, which has seen the others.
    """

    __slots__ = (
        "_call",
        "_departure",
        "_link",
        "_visits",
        "answer_tokens",
        "answered_ps",
        "app",
        "asked",
        "number",
        "outcome",
        "user",
        "waiting",
    )

    def __init__(self, visits: "Visits", user: "User", number: int, call: Call) -> None:
        self._visits = visits
        self._call = call
        self.user = user
        self.app = user.app
        self.number = number
        self.asked = 0
        self.waiting = 0
        self.answer_tokens = 0
        self.answered_ps = 0
        self.outcome = ""
        self._link = user.link
        self._departure: Departure

    def begin(self, message_tokens: int) -> None:
        env = self._visits.env
        self._departure = self._link.send(env.now, message_tokens)
        Alarm(env, self._departure.arrived_ps + self.app.cpu_ps, self._ask)

    def _ask(self, _alarm: Alarm) -> None:
        calls = self.app.calls if self.app.fan_out else 1
        self.waiting = calls
        self.asked += calls
        self.answer_tokens = sum([self._call(self) for _ in range(calls)])

    # The sink of its calls. Times may lie ahead: the app reacts when the last byte is there.

    def admitted(self, at_ps: int, headroom: Headroom | None) -> None: ...

    def first_token(self, at_ps: int) -> None: ...

    def rejected(self, at_ps: int, refusal: Refusal) -> None:
        self._answered(at_ps, REJECTED[refusal.cause])

    def ended(self, at_ps: int, reason: str) -> None:
        self._answered(at_ps, "" if reason in {"stop", "length"} else reason)

    def _answered(self, at_ps: int, failure: str) -> None:
        self.outcome = self.outcome or failure
        self.waiting -= 1
        self.answered_ps = max(self.answered_ps, at_ps)
        if self.waiting:
            return
        env, ready_ps = self._visits.env, self.answered_ps + self.app.cpu_per_call_ps
        more = self.asked < self.app.calls and not self.outcome
        order = FEEDBACK if ready_ps == env.now else ARRIVAL
        Alarm(env, ready_ps, self._ask if more else self._reply, order=order)

    def _reply(self, _alarm: Alarm) -> None:
        now, departure = self._visits.env.now, self._departure
        ended_ps = self._link.whole(departure, now, 0 if self.outcome else self.answer_tokens)
        self._link.release(departure.connection, ended_ps)
        self._visits.record(self, departure, now, ended_ps, self.outcome or "completed")

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

    def begin(self, user: User, number: int, message_tokens: int, call: Call) -> None:
        visit = self.inside[number] = Visit(self, user, number, call)
        visit.begin(message_tokens)

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
