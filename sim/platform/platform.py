"""The wired model. One method matters: `submit`. What becomes of a request, its sink and its record tell."""

from collections.abc import Callable, Container
from typing import NamedTuple

from reports.record import REQUEST_COLUMNS
from sim.network.trouble import Trouble
from sim.node.kernel import Sequence
from sim.node.node import Moving, Node, NodeListener
from sim.node.queue_limits import QueueFull
from sim.platform.gateway import Gateway
from sim.platform.links import Links, MakeLink
from sim.platform.pool import ModelPool, Pool
from sim.platform.rate_limit import Cost, Grant, Refusal
from sim.platform.recorder import Blocks, Recorder
from sim.platform.ticket import IGNORE, REJECTED, Sink, Ticket, capped
from sim.time.timeline import Alarm, Timeline
from sim.time.units import PS_PER_S
from traffic.request import KEEP_ALIVE_S, Request

KEEP_ALIVE_PS = round(KEEP_ALIVE_S * PS_PER_S)


class Losses(NamedTuple):
    """Requests that a dead node had, and that were not over."""

    failed: int
    moved: int


class Platform(NodeListener[Ticket]):
    """Gateway, pools and the links of every caller.

    `pools`, and `admissions` of the gateway, are wired after construction: nodes report to the platform.
    """

    def __init__(
        self,
        env: Timeline,
        make_link: MakeLink,
        overhead_ps: int = 0,
        concurrency: int | None = None,
        blocks: Blocks | None = None,
    ) -> None:
        """`blocks` is where the records go; by default into memory."""
        self.env = env
        self.pools: dict[str, ModelPool] = {}
        self.gateway = Gateway(env, self.pools, self._reject, overhead_ps, concurrency)
        self.records = Recorder(REQUEST_COLUMNS, blocks)
        # Made once: each look makes another.
        self._abandon: Callable[[Ticket, str], None] = self.abandon
        self._arrived: Callable[[Alarm], None] = self.gateway.arrived
        self.inside: dict[int, Ticket] = {}
        """Submitted and not recorded yet, by number."""
        self.links = Links(make_link, lambda: (ticket.link for ticket in self.inside.values()))
        labels = self.records.labels
        self._sources, self._tenants = labels.of("source"), labels.of("tenant")
        self._places, self._models = labels.of("place"), labels.of("model")
        self._outcomes, self._reasons = labels.of("outcome"), labels.of("finish_reason")

    def submit(self, request: Request, sink: Sink = IGNORE) -> Ticket:
        """Send `request` from its place at this instant."""
        now = self.env.now
        link = self.links.link(request.caller, request.place, now)
        departure = link.send(now, request.prompt_tokens, request.session)
        ticket = Ticket(request, sink, link, departure, self._abandon)
        self.inside[request.number] = ticket
        if request.read_timeout_ps is not None:
            ticket.deadline_ps = _heard_by(ticket, request.read_timeout_ps)
        if ticket.deadline_ps is not None:
            ticket.deadline = Alarm(self.env, ticket.deadline_ps, self._deadline, ticket)
        if link.trouble.active and link.trouble.resets:
            Alarm(self.env, now, self._no_way, ticket)
        elif departure.arrived_ps == now:
            self.gateway.enter(ticket)
        else:
            Alarm(self.env, departure.arrived_ps, self._arrived, ticket)
        return ticket

    # What happens to a request, in the order in which it can.

    def _reject(self, ticket: Ticket, refusal: Refusal) -> None:
        at_ps = ticket.link.whole(ticket.departure, self.env.now, 0)
        if not self._left_before(ticket, at_ps):
            self._close(ticket, at_ps, REJECTED[refusal.cause])
            ticket.sink.rejected(at_ps, refusal)
        self._record(ticket)

    def refused(self, ticket: Ticket, full: QueueFull) -> None:
        """By the node that was chosen."""
        if ticket.flow is not None:
            ticket.flow.left()
        self.gateway.refuse(ticket, Refusal(*full, None))

    def first_token(self, ticket: Ticket) -> None:
        """Only a caller who streams sees it before the end."""
        if ticket.request.stream and not ticket.outcome:
            now = self.env.now
            ticket.first_seen_ps = ticket.link.begins(ticket.departure, now)
            if not ticket.link.trouble.active:  # else those behind it do not come as late
                ticket.way_back_ps = ticket.first_seen_ps - now
            if ticket.request.read_timeout_ps is not None:
                self._hears(ticket)
            if ticket.sink is not IGNORE:
                ticket.sink.first_token(ticket.first_seen_ps)

    def left_node(self, ticket: Ticket) -> None:
        assert ticket.node is not None
        self.pools[ticket.request.model].left(ticket)
        if ticket.flow is not None:
            ticket.flow.left()
        if not ticket.outcome:
            if ticket.leaving and any(s.generated < s.output_tokens for s in ticket.sequences):
                self._end_early(ticket, self.env.now, ticket.leaving)
            else:
                self._complete(ticket)
        if ticket.grant is not None:
            self._settle(ticket, ticket.grant)
        self._record(ticket)

    def _settle(self, ticket: Ticket, grant: Grant) -> None:
        output = cached = 0
        for sequence in ticket.sequences:
            output += sequence.generated
        if ticket.sequences:
            cached = ticket.sequences[0].cached_tokens
        grant.settle(self.env.now, Cost(ticket.request.prompt_tokens, output, cached))

    def _complete(self, ticket: Ticket) -> None:
        request = ticket.request
        at_ps = self._all_back_ps(ticket)
        if ticket.deadline_ps is not None and self._left_before(ticket, at_ps):
            return
        if not request.stream:
            ticket.first_seen_ps = at_ps
        self._close(ticket, at_ps, "completed")
        ticket.reason = "length" if request.max_output_tokens is not None and capped(request) else "stop"
        if ticket.sink is not IGNORE:
            ticket.sink.ended(at_ps, ticket.reason)

    def _all_back_ps(self, ticket: Ticket) -> int:
        """When the whole answer, whose last token exists now, is at the caller."""
        request, now = ticket.request, self.env.now
        tokens = request.samples * request.output_tokens
        if not request.stream:
            return ticket.link.whole(ticket.departure, now, tokens)
        if tokens == 1 and ticket.first_seen_ps >= now:
            return ticket.first_seen_ps  # the first token is the last one, in one message
        return max(ticket.first_seen_ps, ticket.link.ends(ticket.departure, now, tokens))

    def lose(self, node: Node[Ticket], moving: Moving) -> "Losses":
        """`node`, which takes no requests any more, dies now.

        Its requests go back to their pool and start again on other nodes, from the token that they had come
        to; or they fail, where `moving` is empty, as do those that name this node. Those without any token
        start anew in any case.
        """
        inside = [ticket for ticket in self.inside.values() if ticket.node is node]
        node.crash()
        moved: list[Ticket] = []
        failed = 0
        for ticket in inside:
            ticket.unfinished = 0
            over = ticket.sequences and all(s.generated == s.output_tokens for s in ticket.sequences)
            if ticket.gone or over:
                self.left_node(ticket)
            elif moving and ticket.request.node is None:
                self._take_back(ticket, moving)
                moved.append(ticket)
            else:
                self._fail(ticket, self.env.now)
                failed += 1
        if moved:
            pool = self.pools[moved[0].request.model]
            assert isinstance(pool, Pool), "the nodes of other pools are not lost"
            pool.take_back(moved)
        return Losses(failed, len(moved))

    def _take_back(self, ticket: Ticket, moving: Moving) -> None:
        self.pools[ticket.request.model].left(ticket)
        ticket.node, ticket.overhead_ps = None, -1
        ticket.moves += 1
        if ticket.sequences:
            ticket.moving = moving

    def _fail(self, ticket: Ticket, now_ps: int) -> None:
        """The gateway says so: by an error, or in the middle of a stream by closing the connection."""
        link, departure = ticket.link, ticket.departure
        if ticket.first_seen_ps >= 0:
            made = sum(sequence.generated for sequence in ticket.sequences)
            at_ps = max(ticket.first_seen_ps, link.ends(departure, now_ps, made + 1))
            if not self._left_before(ticket, at_ps):
                self._end_early(ticket, at_ps, "node_lost")
        else:
            at_ps = link.whole(departure, now_ps, 0)
            if not self._left_before(ticket, at_ps):
                self._close(ticket, at_ps, "node_lost")
                ticket.sink.ended(at_ps, "node_lost")
        self.left_node(ticket)

    def _no_way(self, alarm: Alarm) -> None:
        self.abandon(alarm.subject, "path_lost")

    def break_paths(self, troubles: Container[Trouble]) -> int:
        """Whose connections go that way loses them now; how many these are."""
        lost = [t for t in self.inside.values() if t.link.trouble in troubles and not t.gone]
        for ticket in lost:
            self.abandon(ticket, "path_lost")
        return len(lost)

    def _deadline(self, alarm: Alarm) -> None:
        self.abandon(alarm.subject, "timeout")

    def abandon(self, ticket: Ticket, outcome: str) -> None:
        """The caller stops waiting now. Nothing happens once an outcome is known."""
        if ticket.outcome or ticket.leaving:
            return
        if ticket.node is None:
            self.gateway.abandoned(ticket)
            self._end_early(ticket, self.env.now, outcome)
            if ticket.admitted_ps >= 0:
                self.pools[ticket.request.model].abandoned(ticket)
            if ticket.grant is not None:
                self._settle(ticket, ticket.grant)
            self._record(ticket)
            return
        if not ticket.sequences or ticket.moving:
            self._end_early(ticket, self.env.now, outcome)
            ticket.node.cancel(ticket)
            return
        ticket.node.cancel(ticket)
        if ticket.node.due_ps == self.env.now:
            ticket.leaving = outcome  # a last token beats a cancel of the same instant
        else:
            self._end_early(ticket, self.env.now, outcome)

    def _hears(self, ticket: Ticket) -> None:
        """The first token comes in time: from there on comments keep a stream alive."""
        deadline, whole_ps = ticket.deadline, ticket.request.deadline_ps
        read_by_ps = ticket.deadline_ps
        if deadline is None or read_by_ps is None or read_by_ps == whole_ps:
            return
        if ticket.first_seen_ps > read_by_ps:
            return
        self._stop_waiting(ticket, deadline)
        ticket.deadline_ps = whole_ps
        if whole_ps is not None:
            ticket.deadline = Alarm(self.env, whole_ps, self._deadline, ticket)

    def _left_before(self, ticket: Ticket, at_ps: int) -> bool:
        """Whether the caller's patience ends while what would arrive at `at_ps` is still on its way."""
        deadline_ps = ticket.deadline_ps
        if deadline_ps is None or at_ps <= deadline_ps:
            return False
        self._end_early(ticket, deadline_ps, "timeout")
        return True

    def _end_early(self, ticket: Ticket, at_ps: int, outcome: str) -> None:
        """Whoever stops waiting closes the connection: it is not released for others."""
        ticket.outcome, ticket.ended_ps = outcome, at_ps
        if ticket.deadline is not None:
            self._stop_waiting(ticket, ticket.deadline)
        _forget_unseen(ticket)
        ticket.sink.ended(at_ps, outcome)

    def _close(self, ticket: Ticket, at_ps: int, outcome: str) -> None:
        ticket.outcome, ticket.ended_ps = outcome, at_ps
        if ticket.deadline is not None:
            self._stop_waiting(ticket, ticket.deadline)
        ticket.link.release(ticket.departure.connection, at_ps)

    def _stop_waiting(self, ticket: Ticket, deadline: Alarm) -> None:
        """A deadline means nothing once the outcome is known, and must not be kept until it comes."""
        self.env.cancel(deadline)
        ticket.deadline = None

    def record_unfinished(self) -> None:
        """The run is over: whatever is inside is recorded as it stands. Nothing can run after this."""
        for pool in self.pools.values():
            for node in pool.nodes:
                node.kernel.drain(self.env.now)
        for ticket in list(self.inside.values()):
            if not ticket.outcome:
                ticket.outcome = "unfinished"
            self._record(ticket)

    def _record(self, ticket: Ticket) -> None:
        request, departure, sequences = ticket.request, ticket.departure, ticket.sequences
        del self.inside[request.number]
        ticket.sink = (
            IGNORE  # no cycle with whoever keeps the ticket, so nothing waits for the garbage collector
        )
        if len(sequences) == 1:
            sequence = sequences[0]
            cached, generated, preemptions = (
                sequence.cached_tokens,
                sequence.generated,
                sequence.preemptions,
            )
            started_ps, first_ps, last_ps = sequence.started_ps, sequence.first_ps, sequence.last_ps
            sequence.owner = None  # nor with what it had at the node
        else:
            (cached, generated, preemptions), (started_ps, first_ps, last_ps) = _together(sequences)
        node = -1 if ticket.node is None else ticket.node.index
        connected_ps, arrived_ps = departure.connected_ps, departure.arrived_ps
        spared = request.stream and departure.back_lost != 1 and not departure.lost_first_ps
        lost_back_ps = 0 if spared else _lost_back_ps(ticket)  # of most streams nothing: no call for them
        if ticket.admitted_ps < 0:
            # The way in is foreseen when a request is sent: whoever leaves before never gets there.
            now = self.env.now
            connected_ps, arrived_ps = _if_reached(connected_ps, now), _if_reached(arrived_ps, now)
        try:
            source, tenant = self._sources[request.source], self._tenants[request.tenant]
            place, model = self._places[request.place], self._models[request.model]
            outcome, reason = self._outcomes[ticket.outcome], self._reasons[ticket.reason]
        except KeyError:
            source, tenant, place, model, outcome, reason = self._new_labels(ticket)
        self.records.add(
            (
                request.number,
                request.parent,
                request.session,
                request.turn,
                request.attempt,
                request.number if request.ask < 0 else request.ask,
                request.priority,
                source,
                tenant,
                place,
                model,
                node,
                outcome,
                reason,
                request.stream,
                departure.cold,
                request.samples,
                request.prompt_tokens,
                cached,
                generated,
                preemptions,
                request.intended_ps,
                departure.sent_ps,
                connected_ps,
                arrived_ps,
                ticket.admitted_ps,
                ticket.overhead_ps,
                started_ps,
                first_ps,
                last_ps,
                ticket.first_seen_ps,
                ticket.ended_ps,
                ticket.moves,
                departure.lost_out_ps,
                lost_back_ps,
            )
        )

    def _new_labels(self, ticket: Ticket) -> tuple[int, int, int, int, int, int]:
        """Of which at least one is new."""
        request = ticket.request
        source, tenant, place, model, outcome, reason = self.records.labels.codes(
            source=request.source,
            tenant=request.tenant,
            place=request.place,
            model=request.model,
            outcome=ticket.outcome,
            finish_reason=ticket.reason,
        )
        return source, tenant, place, model, outcome, reason


def _lost_back_ps(ticket: Ticket) -> int:
    """Of answers that came whole; whoever left before hears no more of it."""
    if ticket.outcome != "completed":
        return 0
    request = ticket.request
    tokens = request.samples * request.output_tokens
    return ticket.link.lost_back_ps(ticket.departure, tokens, stream=request.stream)


def opens_ps(ticket: Ticket) -> int:
    """When the client of a stream has its headers if no token comes before."""
    departure = ticket.departure
    return departure.arrived_ps + KEEP_ALIVE_PS + departure.back_first_ps


def _heard_by(ticket: Ticket, timeout_ps: int) -> int | None:
    """When the caller gives up unless it hears something; what its whole ask may take goes before."""
    deadline_ps, until_ps = ticket.request.deadline_ps, ticket.departure.connected_ps + timeout_ps
    if ticket.request.stream and opens_ps(ticket) <= until_ps:
        return deadline_ps
    return until_ps if deadline_ps is None else min(deadline_ps, until_ps)


def _if_reached(stamp_ps: int, now_ps: int) -> int:
    return stamp_ps if stamp_ps <= now_ps else -1


def _forget_unseen(ticket: Ticket) -> None:
    """Whoever leaves while the first token is on its way never sees it."""
    if ticket.first_seen_ps > ticket.ended_ps:
        ticket.first_seen_ps = -1


def _together(sequences: list[Sequence]) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Work and stamps of all completions of one prompt; none of them where it never reached a kernel."""
    if not sequences:
        return (0, 0, 0), (-1, -1, -1)
    for sequence in sequences:
        sequence.owner = None
    return (
        (
            sequences[0].cached_tokens,
            sum(s.generated for s in sequences),
            sum(s.preemptions for s in sequences),
        ),
        (
            min((s.started_ps for s in sequences if s.started_ps >= 0), default=-1),
            min((s.first_ps for s in sequences if s.first_ps >= 0), default=-1),
            max(s.last_ps for s in sequences),
        ),
    )
