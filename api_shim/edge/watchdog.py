"""Holds an application to its memory and its share of a processor, all of its processes together."""

import asyncio
from collections import deque
from contextlib import suppress

from api_shim.edge.plan import AppLimits
from api_shim.processes.cpu_share import CpuShare
from api_shim.processes.process_tree import ProcessLook, look
from api_shim.processes.standstill import standstill
from api_shim.processes.usage import CpuUsed, HeldMemory

PERIOD_S = 0.020
"""Between two looks at a busy one; at its share of that it may be ahead by a period's allowance."""
SHORTEST_S = 0.002
IDLE_S = 0.250
AWAKE_S = 0.5
"""After a request, and after any use of a processor, it may go on working for so long unseen."""
LEAST_USE = 0.01
"""Of a core: an event loop that only waits uses less."""
WINDOW_S = 5.0


class AppWatchdog:
    def __init__(self, root: int, limits: AppLimits) -> None:
        """`root` is the guard's process, which counts for nobody."""
        self._root = root
        self._limits = limits
        self.in_flight = 0
        """Requests that it has not answered: it may need a processor at any time."""
        self._used = CpuUsed()
        self._woken = asyncio.Event()
        self._recent: deque[tuple[float, float]] = deque()
        """(when, CPU used until then), of the last seconds."""
        self.memory = HeldMemory(limits.memory_bytes)
        self.cpu = CpuShare(limits.share, 0.0)

    def wake(self) -> None:
        """A request comes."""
        self._woken.set()

    def recent_share(self) -> float:
        """Of one core, over the last seconds."""
        if len(self._recent) < 2:
            return 0.0
        (began_s, before_s), (now_s, used_s) = self._recent[0], self._recent[-1]
        return (used_s - before_s) / max(now_s - began_s, SHORTEST_S)

    async def watch(self) -> str:
        """Until it holds too much; answers what to say of that."""
        loop = asyncio.get_running_loop()
        limits = self._limits
        share = self.cpu = CpuShare(limits.share, loop.time())
        looked_s, awake_until_s = 0.0, loop.time() + AWAKE_S
        processes: list[ProcessLook] = []
        while True:
            now_s = loop.time()
            if now_s - looked_s >= PERIOD_S:
                span_s, looked_s, processes = now_s - looked_s, now_s, look(self._root)
                used_s = self._used.since_last_s(processes)
                if await self.memory.too_much(processes, processes):
                    held_mib = self.memory.held_bytes >> 20
                    return f"out of memory: it held {held_mib} MiB, and {limits.memory_mb} are allowed"
                if used_s > LEAST_USE * span_s:
                    awake_until_s = now_s + AWAKE_S
            else:
                used_s = self._used.quickly_s()
            pause_s = share.pause_s(used_s, now_s)
            self._note(now_s)
            if pause_s > 0:
                async with standstill(processes):
                    await asyncio.sleep(pause_s)
                continue
            if self._woken.is_set():
                self._woken.clear()
                awake_until_s = now_s + AWAKE_S
            await self._wait(busy=bool(self.in_flight) or now_s < awake_until_s)

    async def _wait(self, *, busy: bool) -> None:
        if busy:
            await asyncio.sleep(max(SHORTEST_S, PERIOD_S * min(1.0, self._limits.share)))
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(IDLE_S):
                await self._woken.wait()

    def _note(self, now_s: float) -> None:
        recent = self._recent
        if not recent or now_s - recent[-1][0] >= PERIOD_S:
            recent.append((now_s, self.cpu.used_s))
        while now_s - recent[0][0] > WINDOW_S:
            recent.popleft()
