"""The front door: its own service time, the size check and the limits. Authentication is HTTP's business."""

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heapreplace

from sim.platform.budget import Budgets
from sim.platform.flow_control import FlowControl
from sim.platform.pool import ModelPool
from sim.platform.rate_limit import NOTHING, Headroom, Refusal, headroom, reserve
from sim.platform.ticket import IGNORE, Ticket
from sim.time.timeline import Alarm, Timeline
from traffic.request import Request


@dataclass(slots=True)
class Admission:
    """What the gateway must know of one model to let a request at its nodes."""

    context_tokens: int
    budgets: Budgets | None = None
    """None: no limits."""
    flow: FlowControl | None = None
    """None: whoever is let in goes to a node at once."""

    def headroom(self, request: Request, now_ps: int) -> Headroom | None:
        """What is left of the limits of whoever sent `request`; None where it has none."""
        if self.budgets is None or request.node is not None:
            return None
        return headroom(self.budgets.limiters(request, now_ps), now_ps)


class Gateway:
    """Serves in order of arrival, `concurrency` requests at a time (None: any number), `overhead_ps` each.

    What it lets pass goes to the model's pool; what it does not comes back through `reject`. `pools` and
    `admissions` have an entry per model.

    A request that names its node has gone to that node by itself: it pays for nothing here, and meets no
    limit and no queue. It is only told what the node would tell it: that it is too long, or nobody is there.
    """

    def __init__(
        self,
        env: Timeline,
        pools: dict[str, ModelPool],
        reject: Callable[[Ticket, Refusal], None],
        overhead_ps: int = 0,
        concurrency: int | None = None,
    ) -> None:
        self.env = env
        self.admissions: dict[str, Admission] = {}
        self._pools = pools
        self._reject = reject
        self._overhead_ps = overhead_ps
        self.enter: Callable[[Ticket], None] = self._take_turn if overhead_ps else self._admit
        self._free_at = None if concurrency is None else [0] * concurrency

    def arrived(self, alarm: Alarm) -> None:
        self.enter(alarm.subject)

    def _take_turn(self, ticket: Ticket) -> None:
        if ticket.request.node is not None:
            self._admit(ticket)
            return
        start = self.env.now
        if self._free_at is not None:
            start = max(start, self._free_at[0])
            heapreplace(self._free_at, start + self._overhead_ps)
        Alarm(self.env, start + self._overhead_ps, self._served, ticket)

    def _served(self, alarm: Alarm) -> None:
        self._admit(alarm.subject)

    def _admit(self, ticket: Ticket) -> None:
        if ticket.outcome:
            return  # the caller left meanwhile
        request = ticket.request
        admission = self.admissions[request.model]
        tokens = request.prompt_tokens + (request.max_output_tokens or request.output_tokens)
        if tokens > admission.context_tokens:
            self._reject(ticket, Refusal("context", admission.context_tokens, 0, tokens, None))
            return
        if request.node is not None:
            self._pass_by(ticket, request.node)
            return
        budgets = admission.budgets
        if budgets is not None:
            limiters = budgets.limiters(request, self.env.now)
            if limiters:
                grant = reserve(limiters, self.env.now, budgets.cost(request))
                if isinstance(grant, Refusal):
                    self._reject(ticket, grant)
                    return
                ticket.grant = grant
        if admission.flow is None:
            self.let_pass(ticket)
        else:
            admission.flow.enter(ticket)

    def _pass_by(self, ticket: Ticket, node: int) -> None:
        if self._pools[ticket.request.model].takes(node):
            self.let_pass(ticket)
        else:
            self._reject(ticket, Refusal("no_endpoints", 0, 0, 1, None))

    def let_pass(self, ticket: Ticket) -> None:
        """To the nodes."""
        request = ticket.request
        ticket.admitted_ps = now = self.env.now
        if ticket.sink is not IGNORE:
            headroom = self.admissions[request.model].headroom(request, now)
            ticket.sink.admitted(now + ticket.departure.back_first_ps, headroom)
        self._pools[request.model].serve(ticket)

    def refuse(self, ticket: Ticket, refusal: Refusal) -> None:
        """There is no place for a request that the limits have let in: it pays for no token."""
        if ticket.grant is not None:
            ticket.grant.settle(self.env.now, NOTHING)
            ticket.grant = None
        self._reject(ticket, refusal)

    def abandoned(self, ticket: Ticket) -> None:
        """The caller of `ticket`, which is at no node, leaves."""
        flow = self.admissions[ticket.request.model].flow
        if ticket.flow is not None:
            ticket.flow.left()
        elif flow is not None:
            flow.forget(ticket)
