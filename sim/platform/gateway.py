"""The front door: its own service time, the size check and the limits. Authentication is HTTP's business."""

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heapreplace

from sim.platform.rate_limit import Limiter, Refusal
from sim.platform.routing import Chooser
from sim.platform.ticket import IGNORE, Ticket
from sim.time.timeline import Alarm, Timeline
from traffic.request import Request


@dataclass(slots=True)
class Pool:
    """The nodes of one model, and what the gateway must know to let a request at them."""

    context_tokens: int
    choose: Chooser
    make_limiter: Callable[[], Limiter] | None = None
    limits_per_key: bool = False
    default_output_reservation_tokens: int = 0
    limiters: dict[str, Limiter] = field(default_factory=dict)

    def limiter(self, request: Request) -> Limiter | None:
        if self.make_limiter is None:
            return None
        owner = request.key if self.limits_per_key else request.project
        limiter = self.limiters.get(owner)
        if limiter is None:
            limiter = self.limiters[owner] = self.make_limiter()
        return limiter

    def reservation(self, request: Request) -> int:
        """Tokens that the limits count until the request has ended."""
        output = request.max_output_tokens
        if output is None:
            output = self.default_output_reservation_tokens
        return request.prompt_tokens + request.samples * output


class Gateway:
    """Serves in order of arrival, `concurrency` requests at a time (None: any number), `overhead_ps` each.

    What it lets pass goes to the pool's choice of node; what it does not comes back through `reject`.
    """

    def __init__(
        self,
        env: Timeline,
        pools: dict[str, Pool],
        reject: Callable[[Ticket, Refusal], None],
        overhead_ps: int = 0,
        concurrency: int | None = None,
    ) -> None:
        self.env = env
        self.pools = pools
        self._reject = reject
        self._overhead_ps = overhead_ps
        self._free_at = None if concurrency is None else [0] * concurrency

    def arrived(self, alarm: Alarm) -> None:
        self.enter(alarm.subject)

    def enter(self, ticket: Ticket) -> None:
        if not self._overhead_ps:
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
        request, now = ticket.request, self.env.now
        pool = self.pools[request.model]
        tokens = request.prompt_tokens + (request.max_output_tokens or request.output_tokens)
        if tokens > pool.context_tokens:
            self._reject(ticket, Refusal("context", pool.context_tokens, 0, tokens, None))
            return
        limiter = pool.limiter(request)
        if limiter is not None:
            grant = limiter.reserve(now, pool.reservation(request))
            if isinstance(grant, Refusal):
                self._reject(ticket, grant)
                return
            ticket.grant = grant
        ticket.admitted_ps = now
        if ticket.sink is not IGNORE:
            headroom = None if limiter is None else limiter.headroom(now)
            ticket.sink.admitted(now + ticket.departure.back_first_ps, headroom)
        pool.choose().submit(ticket)
