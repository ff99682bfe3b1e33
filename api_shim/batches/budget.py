"""Batch work waits until its budget has room, instead of being refused: it has hours."""

import asyncio
from collections import defaultdict

from api_shim.clocks.clock import sleep_until
from api_shim.shim import Shim
from sim.platform.budget import Budgets
from sim.platform.rate_limit import wait_ps
from traffic.request import Request


class BudgetQueue:
    """First come, first served, for each model and holder of a budget."""

    def __init__(self, shim: Shim) -> None:
        self._shim = shim
        self._turns: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def until_room(self, request: Request) -> None:
        """At once for what no waiting would help, which the model then refuses."""
        budgets = self._shim.world.platform.gateway.admissions[request.model].budgets
        if budgets is None or not budgets.batch:
            return
        turn = self._turns[request.model, request.key]
        async with turn:
            clock = self._shim.clock
            while span_ps := self._wait_ps(request, budgets):
                await sleep_until(clock, clock.timeline.now + span_ps)

    def _wait_ps(self, request: Request, budgets: Budgets) -> int:
        now_ps = self._shim.clock.reach()
        return wait_ps(budgets.limiters(request, now_ps), now_ps, budgets.cost(request)) or 0
