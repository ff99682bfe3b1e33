"""All sandboxes of a server, in a thread of their own.

The kernel kills every sandbox when the thread that made it is gone, hence also when the server is killed.
"""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from api_shim.processes.loop_thread import LoopThread
from api_shim.sandboxes.backend import Backend, SandboxRefusedError, Wish
from api_shim.sandboxes.limits import MOST_SANDBOXES
from api_shim.sandboxes.packages import PackageSource
from api_shim.sandboxes.sandbox import Outcome, Sandbox

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ending:
    name: str
    why: str


class Keeper:
    def __init__(
        self,
        backend: Backend,
        packages: PackageSource | None = None,
        *,
        most: int = MOST_SANDBOXES,
        on_end: Callable[[Ending], object] | None = None,
    ) -> None:
        """`on_end` is called in the keeper's own thread, once for each sandbox that was made."""
        self.backend = backend
        self.packages = packages or PackageSource()
        self._most = most
        self.on_end = on_end
        self._sandboxes: dict[str, Sandbox] = {}
        self._coming = 0
        self._probed = False
        self._ends: dict[str, asyncio.Task[None]] = {}
        """By name: who sees off the sandbox."""
        self._probing = asyncio.Lock()
        self._thread = LoopThread("sandboxes")

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run it in there. To be awaited with `Clock.elsewhere`."""
        return self._thread.submit(work)

    def close(self) -> None:
        """End all sandboxes, and the thread. May be called again."""
        if self._thread.is_closed:
            return
        self.submit(self._stop_all()).result()
        self._thread.close()

    async def create(self, wish: Wish) -> Sandbox:
        """Raises NoIsolationError and SandboxRefusedError."""
        if len(self._sandboxes) + self._coming >= self._most:
            raise SandboxRefusedError(
                f"{self._most} sandboxes are running, which is all that this server takes"
            )
        self._coming += 1
        try:
            async with self._probing:
                if not self._probed:
                    await self.backend.probe()
                    self._probed = True
            sandbox = await Sandbox.create(self.backend, wish)
        finally:
            self._coming -= 1
        self._sandboxes[wish.name] = sandbox
        self._ends[wish.name] = asyncio.create_task(self._see_off(sandbox))
        return sandbox

    def find(self, name: str) -> Sandbox | None:
        return self._sandboxes.get(name)

    async def stop(self, name: str) -> None:
        """Whether it is there or not. Its end has been told when this is over."""
        sandbox, seeing_off = self._sandboxes.get(name), self._ends.get(name)
        if sandbox is not None:
            await sandbox.stop()
        if seeing_off is not None:
            await asyncio.shield(seeing_off)

    async def install(self, sandbox: Sandbox, requirements: list[str]) -> Outcome:
        """Raises SandboxRefusedError, SandboxEndedError and NoIsolationError."""
        return await self.packages.install(sandbox, requirements, self.backend)

    async def _see_off(self, sandbox: Sandbox) -> None:
        await sandbox.over.wait()
        del self._sandboxes[sandbox.wish.name]
        if self.on_end is not None:
            self.on_end(Ending(sandbox.wish.name, sandbox.ended_by or "stopped"))
        del self._ends[sandbox.wish.name]

    async def _stop_all(self) -> None:
        for sandbox in list(self._sandboxes.values()):
            await sandbox.stop("the server ended")
        await asyncio.gather(*self._ends.values())
