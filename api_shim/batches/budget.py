"""Batch work waits until its budget has room, instead of being refused: it has hours."""

import asyncio
from collections import defaultdict

from api_shim.clocks.clock import sleep_until
from api_shim.shim import Shim
from traffic.request import Request


class BudgetQueue:
    """First come, first served, for each model and holder of a budget."""

    def __init__(self, shim: Shim) -> None:
        self._shim = shim
        self._turns: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def until_room(self, request: Request) -> None:
        """At once for what no waiting would help, which the model then refuses."""
        if self._shim.world.platform.gateway.admissions[request.model].batch_budget is None:
            return
        turn = self._turns[request.model, request.key]
        async with turn:
            clock = self._shim.clock
            while wait_ps := self._wait_ps(request):
                await sleep_until(clock, clock.timeline.now + wait_ps)

    def _wait_ps(self, request: Request) -> int:
        admission = self._shim.world.platform.gateway.admissions[request.model]
        now_ps = self._shim.clock.reach()
        limiter = admission.limiter(request, now_ps)
        assert limiter is not None
        tokens = admission.reservation(request)
        waits = limiter.requests.wait_ps(now_ps, 1), limiter.tokens.wait_ps(now_ps, tokens)
        return 0 if None in waits else max(wait for wait in waits if wait is not None)
