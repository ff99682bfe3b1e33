"""One request inside the model, as the coroutine that answers it sees it."""

import asyncio
from dataclasses import replace
from functools import partial

from api_shim.clocks.clock import Clock
from sim.platform.platform import Platform
from sim.platform.rate_limit import Headroom, Refusal
from sim.platform.ticket import Ticket
from sim.run.journal import Journal
from traffic.request import Request


class Call:
    """A sink that writes down what it hears, and wakes all who wait when it has reached the caller."""

    def __init__(
        self,
        clock: Clock,
        platform: Platform,
        request: Request,
        request_id: str,
        journal: Journal | None = None,
    ) -> None:
        self.clock = clock
        self.request = request
        self.request_id = request_id
        """The client's own, or the one that we gave it; several prompts of one body share it."""
        self.ticket: Ticket | None = None
        self.headroom: Headroom | None = None
        self.refusal: Refusal | None = None
        self.refused_ps = -1
        """When the gateway did so, of which its caller hears later."""
        self.first_ps = -1
        self.ended_ps = -1
        self.reason = ""
        """`stop`, `length`, `rejected`, `cancelled` ... once it has ended; that may lie ahead."""
        self.gone = False
        """The client has hung up."""
        self._platform = platform
        self._journal = journal
        self._waiters: set[asyncio.Future[None]] = set()

    def send(self) -> None:
        self.clock.inject(self._submit)

    def _submit(self) -> None:
        if not self.gone:
            now_ps = self.clock.timeline.now
            if self.request.intended_ps != now_ps:
                self.request = replace(self.request, intended_ps=now_ps)
            if self._journal is not None:
                self._journal.arrived(self.request, self.request_id)
            self.ticket = self._platform.submit(self.request, self)

    def hang_up(self) -> None:
        """The client is gone: so is the request, unless its answer is complete."""
        self.gone = True
        if not self.reason:
            self.clock.inject(self._cancel)
        self.wake()

    def _cancel(self) -> None:
        if self.ticket is not None:
            if self._journal is not None:
                self._journal.gone(self.request.number)
            self.ticket.cancel()

    # The sink. Times are at the caller's end and may lie ahead.

    def admitted(self, at_ps: int, headroom: Headroom | None) -> None:
        del at_ps  # the client notices nothing before the first token
        self.headroom = headroom

    def rejected(self, at_ps: int, refusal: Refusal) -> None:
        self.refusal = refusal
        now_ps = self.refused_ps = self.clock.timeline.now
        self.headroom = self._platform.gateway.admissions[self.request.model].headroom(self.request, now_ps)
        self.ended(at_ps, "rejected")

    def first_token(self, at_ps: int) -> None:
        self.first_ps = at_ps
        self.clock.call_at(at_ps, self.wake)

    def ended(self, at_ps: int, reason: str) -> None:
        self.ended_ps, self.reason = at_ps, reason
        self.clock.call_at(at_ps, self.wake)

    @property
    def unanswered_for(self) -> str:
        """Of one without an answer: the cause of its refusal, what else ended it, or `cancelled`."""
        return self.refusal.cause if self.refusal is not None else self.reason or "cancelled"

    # Waiting

    def has_begun(self) -> bool:
        """The first token, or the end, has reached the caller."""
        return 0 <= self.first_ps <= self.clock.timeline.now or self.is_over()

    def is_over(self) -> bool:
        return self.gone or 0 <= self.ended_ps <= self.clock.timeline.now

    async def change(self, until_ps: int | None = None) -> None:
        """Until there is something to look at, or that time; it may turn out to be nothing."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        if until_ps is not None:
            # It ends this waiting alone: were others woken, too, each would set an alarm for all again.
            self.clock.call_at(until_ps, partial(_end, waiter))
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    def wake(self) -> None:
        for waiter in self._waiters:
            _end(waiter)


def _end(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
