"""One rehearsal: the application at one place, its users, and the platform, in one process and one loop."""

import asyncio
import os
from collections.abc import Callable
from contextvars import copy_context
from pathlib import Path
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from api_shim.content.contents import make_content
from api_shim.edge.manifest import AppFolder, read_app_folder
from api_shim.rehearsal.app_cpu import AppCpu, MeasuredCpu, StatedCpu, slowdown_of
from api_shim.rehearsal.application import AppServer, import_app
from api_shim.rehearsal.blocking import Blocking
from api_shim.rehearsal.machines import MACHINE, Machine
from api_shim.rehearsal.part import Part, Performed
from api_shim.rehearsal.rehearsal_loop import RehearsalLoop
from api_shim.rehearsal.requests_file import read_requests
from api_shim.rehearsal.users import Crowd, Users
from api_shim.rehearsal.virtual_network import EXCHANGE, Host, VirtualNetwork
from api_shim.rehearsal.virtual_time import REAL_CPU_NS, keep_to
from api_shim.settings import BASE_FLUSH_MS, ServerSettings
from api_shim.store.traces import Trace
from api_shim.testing.virtual_platform import VirtualPlatform
from api_shim.wire.http_protocol import HttpProtocol
from sim.network import Network
from sim.network.ends import end_named
from sim.network.places import GATEWAY, CustomPlace, PlaceSpec
from sim.scenario.load import load
from sim.scenario.schema import Scenario

AT_THE_PLATFORM = "platform"
"""Where the shim believes its callers to be: the network before it is the rehearsal's."""
API_HOSTS = ("api.8080.io", "app.8080.io")
API_KEY = "sk-rehearsal"
WITH_THE_USERS = "internet"


def perform(part: Part) -> Performed:
    """Raises UserError. Changes the process for good: it must exist for this alone."""
    app = read_app_folder(Path(part.folder))
    requests = read_requests(Path(part.requests))
    scenario = load(Path(part.scenario), part.settings).variant(part.variant)
    place, users_place = ends_of(part.place, part.users_at, scenario)
    seed = scenario.run.seed if part.seed is None else part.seed
    machine = Machine("app", "app", place)
    cpu = _cpu(part, app, scenario)
    network = Network(scenario.network)
    loop = RehearsalLoop()
    loop.network = virtual = VirtualNetwork(network, seed, machine, cpu)
    with VirtualPlatform(
        _behind_the_network(scenario),
        seed=seed,
        content=make_content(part.content, None),
        settings=ServerSettings(flush_ms=BASE_FLUSH_MS, trace_share=1.0, sandbox_run_ms=part.sandbox_run_ms),
        loop=loop,
        export=_joined,
    ) as platform:
        _open_the_platform(platform, virtual)
        environment = environment_of(app, scenario)
        keep_to(Blocking(loop), seed)
        if cpu.measures:
            loop.cpu_clock = REAL_CPU_NS
        os.environ.update(environment)
        context = copy_context()
        context.run(MACHINE.set, machine)
        host = f"{app.manifest.slug}.hosted.8080.io"
        users = Users(
            platform.shim.clock,
            requests,
            Crowd(part.concurrency, part.repeat, part.pause_s, part.patience_s, part.rate_per_s),
            users_place,
            host,
            {"authorization": f"Bearer {environment['_8080_API_KEY']}"},
            seed,
        )
        served = context.run(import_app, app)
        keep_alive_s = scenario.network.idle_timeout_s
        story = _story(served, keep_alive_s, host, machine, cpu, virtual, users)
        loop.run_until_complete(loop.create_task(story, context=context))
    return Performed(
        part.place,
        place.label,
        scenario.title or scenario.name,
        host,
        users.visits,
        virtual.seen,
        cpu.worked_ps,
        loop.timeline.now,
        [*app.warnings, *_unreachable(virtual)],
    )


async def _story(
    app: Any,  # noqa: ANN401 -- an ASGI application
    keep_alive_s: float,
    host: str,
    machine: Machine,
    cpu: AppCpu,
    network: VirtualNetwork,
    users: Users,
) -> None:
    server = AppServer(app, keep_alive_s)
    async with server.running():
        network.listen(host, Host(machine, server.protocol, cpu))
        await users.all_served()


def ends_of(text: str, users_at: str, scenario: Scenario) -> tuple[PlaceSpec, PlaceSpec]:
    """Of the application and its users. The same text is the same host, as a developer's own machine is."""
    places = scenario.network.places
    users_text = _written_out(users_at, scenario)
    users = end_named(users_text, places)
    if text == WITH_THE_USERS and text not in places:
        return users, users
    return (users if text == users_text else end_named(text, places)), users


def _written_out(text: str, scenario: Scenario) -> str:
    if text == WITH_THE_USERS and text not in scenario.network.places:
        return f"internet:cable:{scenario.network.site}"
    return text


def _cpu(part: Part, app: AppFolder, scenario: Scenario) -> AppCpu:
    """As slow as the manifest's share of a reference core, in every place alike."""
    slowdown = slowdown_of(app.manifest.cpu_mhz or scenario.edge.cpu_mhz, scenario.edge.reference_mhz)
    if part.app_cpu_ms is None:
        return MeasuredCpu(slowdown)
    return StatedCpu(part.app_cpu_ms * slowdown)


def _behind_the_network(scenario: Scenario) -> Scenario:
    """The same platform for callers who stand before it: what lies between is the rehearsal's own."""
    here = CustomPlace(kind="custom", rtt_ms=0)
    serve = scenario.serve
    keys = {key: holder.model_copy(update={"place": AT_THE_PLATFORM}) for key, holder in serve.keys.items()}
    return scenario.model_copy(
        update={
            "network": scenario.network.model_copy(
                update={"places": {**scenario.network.places, AT_THE_PLATFORM: here}}
            ),
            "serve": serve.model_copy(update={"place": AT_THE_PLATFORM, "keys": keys}),
        }
    )


def _open_the_platform(platform: VirtualPlatform, network: VirtualNetwork) -> None:
    config = Config(
        platform.app, http=HttpProtocol, ws="none", lifespan="off", log_config=None, access_log=False
    )
    config.timeout_keep_alive = max(1, round(platform.world.scenario.network.idle_timeout_s))
    config.load()
    state = ServerState()
    loop = platform.loop

    def protocol() -> asyncio.Protocol:
        return HttpProtocol(config=config, server_state=state, app_state={}, _loop=loop)

    machine = Machine("platform", "platform", GATEWAY)
    for name in API_HOSTS:
        network.listen(name, Host(machine, protocol, network.cpu_of(machine)))


def _joined(make: Callable[[], Trace]) -> None:
    """What the model did for a request belongs to what was seen of it on the wire."""
    exchange = EXCHANGE.get()
    if exchange is not None:
        trace = make()
        exchange.spans += trace.spans
        exchange.asked = trace.row


def environment_of(app: AppFolder, scenario: Scenario) -> dict[str, str]:
    """What the platform gives to an application, and nothing more: what works here works there."""
    key = next(iter(scenario.serve.keys), API_KEY)
    manifest = app.manifest
    secrets = {
        name: os.environ.get(name, f"secret-{secret}")
        for name, secret in (manifest.env_secrets or {}).items()
    }
    return {
        "_8080_API_URL": f"https://{API_HOSTS[0]}",
        "_8080_PLATFORM_URL": f"https://{API_HOSTS[1]}",
        "_8080_API_KEY": key,
        "_8080_PROJECT_SLUG": manifest.slug,
        "_8080_ORGANIZATION_SLUG": manifest.organization_slug,
        **secrets,
        **(manifest.env_vars or {}),
    }


def _unreachable(network: VirtualNetwork) -> list[str]:
    return [
        f"{name} was asked for {count} times, and cannot be reached: nothing outside is, in virtual time"
        for name, count in network.unreachable.items()
    ]
