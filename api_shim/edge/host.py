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
        self._stopping: set[asyncio.Task[None]] = set()
        self._apps: dict[str, EdgeApp] = {}
        self._successors: dict[str, EdgeApp] = {}
        """Those that take the place of another one as soon as they run."""

    def find(self, slug: str) -> EdgeApp | None:
        return self._apps.get(slug) or self._successors.get(slug)

    @property
    def apps(self) -> list[EdgeApp]:
        return [*self._apps.values(), *self._successors.values()]

    async def start(self, plan: EdgePlan) -> EdgeApp:
        """Beside the one of that slug, if there is one, until this one runs."""
        before = self._successors.pop(plan.slug, None)
        if before is not None:
            await before.stop()
        app = self._successors[plan.slug] = EdgeApp(plan, self._hear, self._backoff_s)
        return app

    async def stop(self, app: EdgeApp) -> None:
        for apps in (self._apps, self._successors):
            if apps.get(app.plan.slug) is app:
                del apps[app.plan.slug]
        await app.stop()

    def _hear(self, app: EdgeApp) -> None:
        slug = app.plan.slug
        if app.state.name == "running" and self._successors.get(slug) is app:
            before = self._apps.get(slug)
            self._apps[slug] = self._successors.pop(slug)
            if before is not None:
                self._stopping.add(task := asyncio.create_task(before.stop()))
                task.add_done_callback(self._stopping.discard)
        self._told(app)

    def close(self) -> None:
        """End them all, and the thread. May be called again."""
        if self.thread.is_closed:
            return
        self.thread.submit(self._stop_all()).result()
        self.thread.close()

    async def _stop_all(self) -> None:
        await asyncio.gather(*map(self.stop, self.apps), *self._stopping)
