"""One request with its answer: from the words that were planned to the last byte sent."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from api_shim.clocks.clock import Clock
from api_shim.clocks.pacing import Pacing
from api_shim.content.plan import ContentPlan
from api_shim.exchange.call import Call
from api_shim.exchange.refusals import refusal_of
from api_shim.exchange.request_trace import RequestTrace
from api_shim.settings import ServerSettings
from sim.time.units import PS_PER_S
from traffic.request import KEEP_ALIVE_S

ANSWERED = {"stop", "length"}


class ClientGoneError(Exception):
    """Nobody is left to answer."""


class Host(Protocol):
    """What an exchange, and whoever writes its answer, asks of the shim that it is part of."""

    clock: Clock
    pacing: Pacing
    settings: ServerSettings
    streams: int
    fingerprint: str

    @property
    def flush_ps(self) -> int: ...

    def new_id(self, prefix: str) -> str: ...

    def closed(self, exchange: "Exchange") -> None: ...


class Exchange:
    def __init__(
        self, shim: Host, call: Call, plan: ContentPlan, model_id: str, trace: RequestTrace | None = None
    ) -> None:
        self.shim = shim
        self.call = call
        self.plan = plan
        self.model_id = model_id
        self.trace = trace
        self.created = int(shim.clock.unix_s())
        self.lateness_ps = 0
        """Of the last thing written."""
        self._watch: asyncio.Task[None] | None = None

    @property
    def answered(self) -> bool:
        return self.call.reason in ANSWERED

    @property
    def way_back_ps(self) -> int:
        ticket = self.call.ticket
        return 0 if ticket is None else ticket.way_back_ps

    def begin(self, until_gone: Callable[[], Awaitable[None]] | None) -> None:
        """`until_gone` is the asker's own."""
        if until_gone is not None:
            self._watch = asyncio.create_task(self._hear_the_asker_leave(until_gone))
        self.call.send()

    async def _hear_the_asker_leave(self, until_gone: Callable[[], Awaitable[None]]) -> None:
        await until_gone()
        self.call.hang_up()

    async def until_over(self, param: str) -> None:
        """The whole answer has reached the caller. Raises ApiError or ClientGoneError where there is none."""
        while not self.call.is_over():
            await self.call.change()
        self.note_lateness(self.call.ended_ps)
        self._check(param)

    async def until_begun(self, param: str) -> None:
        """As above, but the first token will do, or patience running out."""
        call, clock = self.call, self.call.clock
        patience_ps = clock.now_ps() + round(KEEP_ALIVE_S * PS_PER_S * clock.speed)
        patience = clock.call_at(patience_ps, call.wake)
        try:
            while not call.has_begun() and clock.timeline.now < patience_ps:
                await call.change()
        finally:
            clock.timeline.cancel(patience)
        if call.has_begun():
            self.note_lateness(call.first_ps if call.first_ps >= 0 else call.ended_ps)
            if call.first_ps < 0 or call.gone:
                self._check(param)

    def _check(self, param: str) -> None:
        if self.call.gone:
            raise ClientGoneError
        if not self.answered:
            raise refusal_of(self.call, self.model_id, param, self.lateness_ps)

    def note_lateness(self, due_ps: int) -> None:
        self.lateness_ps = max(0, self.call.clock.now_ps() - due_ps)
        self.shim.pacing.lateness.observe(self.lateness_ps)

    def tokens_due(self) -> list[int]:
        """Of each choice."""
        call = self.call
        now_ps = call.clock.reach()
        ticket = call.ticket
        if ticket is None or not ticket.sequences:
            return [0] * call.request.samples
        return [ticket.tokens_by(now_ps, sample) for sample in range(call.request.samples)]

    def close(self) -> None:
        """Everything is sent, or cannot be: what is still inside the model leaves it."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None  # it keeps where it was cancelled, and so this exchange: a cycle otherwise
        if not self.call.reason and not self.call.gone:
            self.call.hang_up()
        self.shim.closed(self)
