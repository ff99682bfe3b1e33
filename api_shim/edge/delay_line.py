"""What is said on one side is heard on the other so much later, in the same order."""

import asyncio
from typing import Generic, TypeVar

from api_shim.clocks.clock import Clock, until

T = TypeVar("T")
MOST_UNDER_WAY = 256
"""Pieces of a stream, each at most a read of a socket; who says more has to wait."""


class DelayLine(Generic[T]):
    def __init__(self, clock: Clock, delay_ps: int) -> None:
        self._clock = clock
        self._delay_ps = delay_ps
        self._last_ps = 0
        self._queue: asyncio.Queue[tuple[int, T]] = asyncio.Queue(MOST_UNDER_WAY)

    async def put(self, item: T, due_ps: int | None = None) -> None:
        """It is said now; `due_ps` where it takes longer than others."""
        now_ps = self._clock.reach()
        self._last_ps = max(self._last_ps, now_ps + self._delay_ps, due_ps or 0)
        await self._queue.put((self._last_ps, item))

    async def get(self) -> T:
        """When it is due."""
        due_ps, item = await self._queue.get()
        await until(self._clock, due_ps)
        return item
