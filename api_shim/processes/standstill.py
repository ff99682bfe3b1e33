"""A tree of processes stands still for a while, and nobody in it notices.

A shell that sees a job of its own stopped takes the terminal back, and says so. It sees only what is stopped
while it runs itself: so parents stop before their children, and go on after them.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from api_shim.processes.process_tree import STOPPED, ProcessLook

LOOK_S = 0.0005
LOOKS = 10
"""At a parent that may take a moment to stop, as when it waits for a processor."""


@asynccontextmanager
async def standstill(processes: Iterable[ProcessLook]) -> AsyncIterator[None]:
    """`processes` has parents before their children. Those that stand still already are left alone."""
    held = [process for process in processes if process.state != STOPPED]
    parents = {process.parent for process in held}
    try:
        for process in held:
            process.signal(signal.SIGSTOP)
            if process.pid in parents:
                await _stopped(process)
        yield
    finally:
        for process in reversed(held):
            process.signal(signal.SIGCONT)


async def _stopped(process: ProcessLook) -> None:
    for _ in range(LOOKS):
        if process.stands_still():
            return
        await asyncio.sleep(LOOK_S)
