"""The live server: sockets, uvicorn, the wall clock, and a tidy end."""

import asyncio
import gc
import logging
import resource
import socket
from collections.abc import Callable, Sequence
from functools import partial
from types import FrameType

import uvicorn

from api_shim.app import create_app
from api_shim.batches.runner import BatchRunner
from api_shim.clocks.pacer import Pacer
from api_shim.content.plan import Content
from api_shim.edge.deployed import DeployedApps
from api_shim.edge.manifest import AppFolder
from api_shim.edge.plan import EdgePlan
from api_shim.routes.responses.background import Background
from api_shim.settings import ServerSettings
from api_shim.shim import Shim
from api_shim.store.store import Store
from api_shim.tracing.tracer import Export
from api_shim.wire.http_protocol import HttpProtocol
from e80sim.mistakes import UserError
from sim.run.journal import Journal
from sim.run.world import World
from traffic.tokens import vocabulary_of

BACKLOG = 4096
KEEP_ALIVE_S = 75
"""Longer than clients keep idle connections (5 s in httpx), so that they close them and not the server."""


WEBSOCKET_MESSAGE_BYTES = 2**20
"""What is pasted into a terminal comes in pieces of a kilobyte."""
SIGNAL_LOOK_S = 0.05
HASTE_S = 1.0
"""What clients' leaving may take to be dealt with when somebody asks twice for the end."""


class _Server(uvicorn.Server):
    """Ends by itself: uvicorn would send itself the signal again and die of it."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        del sig, frame
        self.force_exit = self.should_exit  # the second signal does not wait
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        hasty = asyncio.create_task(self._hang_up_when_forced())
        await super().shutdown(sockets)
        if self.force_exit:
            await hasty
        hasty.cancel()

    async def _hang_up_when_forced(self) -> None:
        """As if all clients had left: what they waited for ends as it does then, and nothing has failed."""
        while not self.force_exit:  # noqa: ASYNC110 -- a signal handler can set no event of the loop
            await asyncio.sleep(SIGNAL_LOOK_S)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=HASTE_S)
        if self.server_state.tasks:  # they wait for somebody else, such as a server upstream
            logging.getLogger("uvicorn.error").disabled = True  # it would tell of each that it was cancelled
            for task in self.server_state.tasks:
                task.cancel()


def raise_file_limit() -> None:
    """A connection is a file; the soft limit is often 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def bind(host: str, port: int) -> socket.socket:
    """Raises UserError, before anything else is set up. Port 0 takes any that is free."""
    if not host:  # to the system that would be every address of the machine
        raise UserError(
            "--host is empty: give an address, such as 127.0.0.1, or 0.0.0.0 for all of this machine"
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise UserError(f"cannot listen on {host} port {port}: {error.strerror}") from None
    return listening


async def serve(
    world: World,
    sockets: Sequence[socket.socket],
    settings: ServerSettings,
    content: Content,
    *,
    speed: float = 1.0,
    ready: Callable[[Shim], object] | None = None,
    journal: Journal | None = None,
    store: Store | None = None,
    export: Export | None = None,
    apps: Sequence[AppFolder] = (),
) -> Shim:
    """Answer until SIGTERM or Ctrl-C, let what is in progress end, and hand back what was served."""
    for model in world.scenario.models.values():
        vocabulary_of(model.llm)  # a second each, better spent before the clock starts
    pacer = Pacer(world.env, speed)
    try:
        app = create_app(world, pacer, settings, content, journal, store, export)
        shim: Shim = app.state.shim
        await pacer.aside(partial(shim.store.traces.forget_old, pacer.unix_s()))
        config = uvicorn.Config(
            app,
            http=HttpProtocol,
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
            ws="wsproto",
            ws_max_size=WEBSOCKET_MESSAGE_BYTES,
        )
        # What stands now stays: the collector need not walk through it again.
        gc.collect()
        gc.freeze()
        batches: BatchRunner = app.state.batches
        await batches.resume()
        background: Background = app.state.background
        await background.resume()
        deployed = shim.deployments.runner = DeployedApps(shim.edge, shim.deployments)
        plans = [shim.edge.plan_of(app, partial(_secret, shim)) for app in apps]
        server = _Server(config)
        announcing = asyncio.create_task(_announce(server, shim, ready, plans))
        await server.serve(list(sockets))
        announcing.cancel()
        await batches.stop()
        await background.stop()
        await shim.tracer.close()
        shim.edge.close()
        deployed.close()
        shim.sandboxes.close()
    finally:
        pacer.close()
    return shim


async def _announce(
    server: uvicorn.Server, shim: Shim, ready: Callable[[Shim], object] | None, apps: Sequence[EdgePlan]
) -> None:
    while not server.started:  # noqa: ASYNC110 -- uvicorn has no event for it
        await asyncio.sleep(0.01)
    if ready is not None:
        ready(shim)
    for plan in apps:  # they may ask the server as soon as they start
        await shim.edge.run(plan)
    await shim.deployments.resume()


def _secret(shim: Shim, project: str, name: str) -> str | None:
    found = shim.store.secrets.get(project, name)
    return None if found is None else found.text()
