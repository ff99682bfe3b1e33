"""What no limit of the kernel's bounds without cgroups: memory and CPU of all processes together.

It looks every few milliseconds while something runs, so it is late by what can happen in between.
"""

import asyncio
import os
from contextlib import suppress

from api_shim.processes.cpu_share import CpuShare
from api_shim.processes.process_tree import ProcessLook, look
from api_shim.processes.standstill import standstill
from api_shim.processes.usage import CpuUsed, HeldMemory
from api_shim.sandboxes.limits import SandboxLimits
from api_shim.sandboxes.sockets import socket_bytes

BUSY_S = 0.020
IDLE_S = 0.250
AWAKE_S = 0.5
"""What was asked for has begun by then, and is seen, or has ended."""
SHORTEST_S = 0.002
SCRATCH = ("/home/user", "/tmp", "/dev/shm")  # noqa: S108 -- of the sandbox


class Watchdog:
    def __init__(self, root: int, limits: SandboxLimits, *, own_network: bool) -> None:
        """`root` is bubblewrap's process, and nothing runs in the sandbox yet.

        Without a network of its own the sockets that it sees are those of the whole machine.
        """
        self._root = root
        self._own_network = own_network
        self._limits = limits
        self._ours = {process.name for process in look(root)}
        """Bubblewrap's own process inside and the server: never stopped, and there when nothing else is."""
        self._inner = min((name for name in self._ours), key=lambda name: name[1], default=None)
        """The first of them."""
        self._woken = asyncio.Event()
        self._awake_until = 0.0
        self._used = CpuUsed()
        self.memory = HeldMemory(limits.memory_bytes)
        self.cpu = CpuShare(limits.share, 0.0)

    def wake(self) -> None:
        """Something is about to run."""
        self._woken.set()

    async def watch(self) -> str:
        """Until the sandbox has to end; answers why."""
        loop = asyncio.get_running_loop()
        share = self.cpu = CpuShare(self._limits.share, loop.time())
        self._used.since_last_s(look(self._root))  # of its making, which counts for nobody
        while True:
            processes = look(self._root)
            why = await self._too_much(processes)
            if why is not None:
                return why
            pause_s = share.pause_s(self._used.since_last_s(processes), loop.time())
            theirs = self._theirs(processes)
            if pause_s > 0:
                async with standstill(theirs):
                    await asyncio.sleep(pause_s)
                continue
            if self._woken.is_set():
                self._woken.clear()
                self._awake_until = loop.time() + AWAKE_S
            busy = bool(theirs) or loop.time() < self._awake_until
            wait_s = max(SHORTEST_S, BUSY_S * min(1.0, self._limits.share)) if busy else IDLE_S
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await (asyncio.sleep(wait_s) if busy else self._woken.wait())

    def _theirs(self, processes: list[ProcessLook]) -> list[ProcessLook]:
        return [process for process in processes if process.name not in self._ours]

    async def _too_much(self, processes: list[ProcessLook]) -> str | None:
        limits = self._limits
        in_sockets = socket_bytes(self._inner[0]) if self._inner is not None and self._own_network else 0
        if await self.memory.too_much(processes, self._theirs(processes), in_sockets):
            held_mib = self.memory.held_bytes >> 20
            return f"out of memory: its programs held {held_mib} MiB, and {limits.memory_mb} are allowed"
        count = self._files()
        if count > limits.files:
            return f"too many files: it had {count}, and {limits.files} are allowed"
        return None

    def _files(self) -> int:
        """Through the eyes of bubblewrap's own process inside, whose mounts nobody in there can change."""
        if self._inner is None:
            return 0
        count = 0
        for path in SCRATCH:
            with suppress(OSError):
                found = os.statvfs(f"/proc/{self._inner[0]}/root{path}")
                count += found.f_files - found.f_ffree
        return count
