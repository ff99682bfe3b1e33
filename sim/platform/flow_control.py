"""Where requests wait at the gateway while the nodes of a model are busy: `docs/admission.md`.

After llm-d's flow control (Gateway API Inference Extension): bands by priority, in each of them flows that
take turns, in each flow an order. A request that waits here can still go to any node.
"""

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from sim.platform.rate_limit import Refusal
from sim.platform.ticket import Ticket
from sim.time.timeline import FEEDBACK, Alarm, Timeline
from traffic.request import Request

NEVER_PS = 1 << 63
"""Later than whatever can happen."""

Rank = Callable[[Ticket, int], int]
"""From a request and the end of its time to live: the lowest goes first, and of equals whoever came first."""
ORDERS: dict[str, Rank] = {
    "fcfs": lambda _ticket, _expires_ps: 0,
    "edf": lambda ticket, expires_ps: min(expires_ps, _or_never(ticket.request.deadline_ps)),
    "slo_deadline": lambda ticket, _expires_ps: _slo_deadline_ps(ticket),
}
"""`edf`: whoever is given up first, by its caller or here. `slo_deadline`: whose first token is due first."""

FAIRNESS: dict[str, Callable[[Request], str]] = {
    "global_strict": lambda _request: "",
    "round_robin": lambda request: request.fairness_id or request.project,
}
"""Which flow of its band a request belongs to; flows take turns, one request each."""


def _or_never(at_ps: int | None) -> int:
    return NEVER_PS if at_ps is None else at_ps


def _slo_deadline_ps(ticket: Ticket) -> int:
    objective_ps = ticket.request.ttft_objective_ps
    return NEVER_PS if objective_ps is None else ticket.departure.arrived_ps + objective_ps


@dataclass(frozen=True, slots=True)
class BandSettings:
    rank: Rank = ORDERS["fcfs"]
    flow_of: Callable[[Request], str] = FAIRNESS["global_strict"]
    max_requests: int | None = None
    """That wait in the band; None: only the sum of all bands is limited."""
    ttl_ps: int | None = None
    """A request waits no longer; None: as long as its caller does."""


@dataclass(frozen=True, slots=True)
class FlowSettings:
    max_concurrency: int
    """Requests inside the pool, for each node that takes any: more wait here."""
    max_requests: int
    """That wait, in all bands together."""
    usual: BandSettings = BandSettings()
    bands: Mapping[int, BandSettings] | None = None
    """By priority, of those that are not as usual."""

    def band(self, priority: int) -> BandSettings:
        return (self.bands or {}).get(priority, self.usual)


class Held:
    """A request that waits."""

    __slots__ = ("band", "expiry", "flow", "priority", "ticket")

    def __init__(self, ticket: Ticket, priority: int, band: "_Band", flow: str) -> None:
        self.ticket: Ticket | None = ticket
        """None once it waits no longer."""
        self.priority, self.band, self.flow = priority, band, flow
        self.expiry: Alarm | None = None


class _Flow:
    """A heap; whoever left meanwhile stays in it until it comes up, or until most have left."""

    __slots__ = ("_heap", "live")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, int, Held]] = []
        self.live = 0

    def push(self, rank: int, now_ps: int, number: int, held: Held) -> None:
        heappush(self._heap, (rank, now_ps, number, held))
        self.live += 1

    def pop(self) -> Held:
        while True:
            held = heappop(self._heap)[3]
            if held.ticket is not None:
                self.live -= 1
                return held

    def dropped(self) -> None:
        self.live -= 1
        if len(self._heap) > 2 * self.live + 1:
            self._heap = [entry for entry in self._heap if entry[3].ticket is not None]
            heapify(self._heap)


class _Band:
    """The flows of one priority for which somebody waits, in the order of their turns."""

    __slots__ = ("flows", "settings", "waiting")

    def __init__(self, settings: BandSettings) -> None:
        self.settings = settings
        self.flows: OrderedDict[str, _Flow] = OrderedDict()
        self.waiting = 0

    def push(self, held: Held, rank: int, now_ps: int, number: int) -> None:
        if held.flow not in self.flows:
            self.flows[held.flow] = _Flow()
        self.flows[held.flow].push(rank, now_ps, number, held)
        self.waiting += 1

    def pop(self) -> Held:
        name, flow = next(iter(self.flows.items()))
        held = flow.pop()
        self.waiting -= 1
        if flow.live:
            self.flows.move_to_end(name)
        else:
            del self.flows[name]
        return held

    def drop(self, held: Held) -> None:
        flow = self.flows[held.flow]
        flow.dropped()
        self.waiting -= 1
        if not flow.live:
            del self.flows[held.flow]


class FlowControl:
    """Of one model. `inside + waiting` are those that it let come and that are not over yet."""

    def __init__(
        self,
        env: Timeline,
        settings: FlowSettings,
        let_pass: Callable[[Ticket], None],
        refuse: Callable[[Ticket, Refusal], None],
        nodes: Callable[[], int],
    ) -> None:
        """`nodes` says how many take requests at present."""
        self.inside = 0
        self.waiting = 0
        self._env = env
        self._settings = settings
        self._let_pass, self._refuse, self._nodes = let_pass, refuse, nodes
        self._bands: dict[int, _Band] = {}
        """Those in which somebody waits, by priority."""
        self._priorities: list[int] = []
        """Theirs, the most urgent first."""
        self._held: dict[int, Held] = {}
        """By the number of the request."""
        self._woken = False

    @property
    def capacity(self) -> int:
        """Requests that may be inside the pool."""
        return self._settings.max_concurrency * self._nodes()

    def enter(self, ticket: Ticket) -> None:
        """Pass, wait, or be refused."""
        capacity = self.capacity
        if not capacity:
            self._refuse(ticket, Refusal("no_endpoints", 0, 0, 1, None))
        elif not self.waiting and self.inside < capacity:
            self._pass(ticket)
        else:
            self._hold(ticket)

    def left(self) -> None:
        """One of those that passed is out of its node, or was not taken by it.

        The next one goes when all boundaries of this instant are over: it meets every node in its next step.
        """
        self.inside -= 1
        assert self.inside >= 0
        self.more_room()

    def more_room(self) -> None:
        """Somebody left, or a node joined."""
        if self.waiting and not self._woken:
            self._woken = True
            Alarm(self._env, self._env.now, self._wake, None, FEEDBACK)

    def forget(self, ticket: Ticket) -> None:
        """The caller of `ticket` leaves. If it waits here, it does no longer."""
        held = self._held.get(ticket.request.number)
        if held is not None:
            self._out(held)
            held.band.drop(held)
            self._close(held)

    def _pass(self, ticket: Ticket) -> None:
        self.inside += 1
        ticket.flow = self
        self._let_pass(ticket)

    def _hold(self, ticket: Ticket) -> None:
        request, now_ps = ticket.request, self._env.now
        band = self._bands.get(request.priority)
        settings = self._settings.band(request.priority) if band is None else band.settings
        most = self._settings.max_requests
        if self.waiting >= most:
            self._refuse(ticket, Refusal("saturated", most, self.waiting, 1, None))
            return
        in_band = 0 if band is None else band.waiting
        if settings.max_requests is not None and in_band >= settings.max_requests:
            self._refuse(ticket, Refusal("saturated", settings.max_requests, in_band, 1, None))
            return
        if band is None:
            band = self._bands[request.priority] = _Band(settings)
            insort(self._priorities, request.priority)
        held = Held(ticket, request.priority, band, settings.flow_of(request))
        expires_ps = NEVER_PS
        if settings.ttl_ps is not None:
            expires_ps = now_ps + settings.ttl_ps
            held.expiry = Alarm(self._env, expires_ps, self._expired, held)
        band.push(held, settings.rank(ticket, expires_ps), now_ps, request.number)
        self._held[request.number] = held
        self.waiting += 1

    def _wake(self, _alarm: Alarm) -> None:
        self._woken = False
        capacity = self.capacity
        while self.waiting and self.inside < capacity:
            held = self._bands[self._priorities[0]].pop()
            self._pass(self._out(held))
            self._close(held)

    def _expired(self, alarm: Alarm) -> None:
        held: Held = alarm.subject
        held.expiry = None
        ticket = self._out(held)
        held.band.drop(held)
        self._close(held)
        cause = "ttl_expired" if self._nodes() else "no_endpoints"
        self._refuse(ticket, Refusal(cause, self.capacity, self.inside, 1, None))

    def _out(self, held: Held) -> Ticket:
        """It waits no longer; whoever calls this takes it from its band."""
        ticket, held.ticket = held.ticket, None
        assert ticket is not None
        if held.expiry is not None:
            self._env.cancel(held.expiry)
        del self._held[ticket.request.number]
        self.waiting -= 1
        return ticket

    def _close(self, held: Held) -> None:
        """Its band is kept as long as somebody waits in it."""
        if not held.band.waiting and self._bands.pop(held.priority, None) is not None:
            del self._priorities[bisect_left(self._priorities, held.priority)]
