"""All applications of a server, in a thread of their own."""

import asyncio
from collections.abc import Callable

from api_shim.edge.edge_app import BACKOFF_S, EdgeApp
from api_shim.edge.plan import EdgePlan
from api_shim.processes.loop_thread import LoopThread


class EdgeHost:
    def __init__(
        self,
        told: Callable[[EdgeApp], object] = lambda _app: None,
        backoff_s: tuple[float, ...] = BACKOFF_S,
    ) -> None:
        """`told` is called in the host's own thread, whenever the state of an application has changed."""
        self.thread = LoopThread("applications")
        self._told = told
        self._backoff_s = backoff_s
        self._apps: dict[str, EdgeApp] = {}

    def find(self, slug: str) -> EdgeApp | None:
        return self._apps.get(slug)

    @property
    def apps(self) -> list[EdgeApp]:
        return list(self._apps.values())

    async def start(self, plan: EdgePlan) -> EdgeApp:
        """In place of the one with that slug, if there is one, which ends first."""
        await self.stop(plan.slug)
        app = self._apps[plan.slug] = EdgeApp(plan, self._told, self._backoff_s)
        return app

    async def stop(self, slug: str) -> None:
        app = self._apps.pop(slug, None)
        if app is not None:
            await app.stop()

    def close(self) -> None:
        """End them all, and the thread. May be called again."""
        if self.thread.is_closed:
            return
        self.thread.submit(self._stop_all()).result()
        self.thread.close()

    async def _stop_all(self) -> None:
        await asyncio.gather(*map(self.stop, list(self._apps)))
