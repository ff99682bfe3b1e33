"""Applications as a server has them: who may ask which, by which way, and with which key they ask the model.

An application runs at a place of the scenario's network that is beside the accelerators: its own calls leave
from there. Its users are wherever they are.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from secrets import token_urlsafe

from api_shim.accounts.callers import LIVE_SOURCE, Caller, Callers
from api_shim.clocks.clock import Clock
from api_shim.edge.app_files import place_files
from api_shim.edge.edge_app import AppLife, EdgeApp
from api_shim.edge.host import EdgeHost
from api_shim.edge.manifest import AppFolder
from api_shim.edge.plan import AppLimits, EdgePlan
from api_shim.edge.user_leg import UserLegs
from api_shim.store.files import Files
from api_shim.tracing.app_trace import AppTrace
from api_shim.tracing.span_ids import trace_of
from api_shim.wire.errors import LONGEST_ECHO, SERVER, ApiError
from e80sim.mistakes import UserError
from sim.network.places import EdgePlace
from sim.run.world import World
from traffic.request import caller_named

KEY_PREFIX = "sk-app-"
KEY_BYTES = 24
KEY_NAME = "app "
"""With the slug behind it, which no name of another key begins with."""
STARTING_S = 30.0
"""A request waits so long for an application that is starting, in real time."""


class EdgeService:
    def __init__(
        self, world: World, clock: Clock, callers: Callers, files: Files, api_url: str, python: str | None
    ) -> None:
        """`api_url` is where applications find the platform; `python` their interpreter, None: their own."""
        self.section = world.scenario.edge
        self.api_url = api_url
        self.listeners: list[Callable[[EdgeApp], object]] = []
        """Called in another thread, whenever the state of an application has changed."""
        self._world = world
        self._clock = clock
        self._callers = callers
        self._files = files
        self._placed: dict[str, int] = {}
        """By slug: how many changes of files there had been when its own were last looked at."""
        self.python = python
        self._host: EdgeHost | None = None
        self._legs: UserLegs | None = None
        self._keys: dict[str, str] = {}
        """By slug: what each application asks the platform with."""

    @property
    def apps(self) -> list[EdgeApp]:
        return [] if self._host is None else self._host.apps

    def plan_of(self, app: AppFolder, secret: Callable[[str, str], str | None]) -> EdgePlan:
        """`secret` has what a project's secret of that name holds. Raises UserError."""
        manifest = app.manifest
        project = self._callers.project_called(manifest.slug)
        environment, hidden = dict(manifest.env_vars or {}), []
        for variable, name in (manifest.env_secrets or {}).items():
            value = secret(project, name)
            if value is None:
                raise UserError(
                    f"{app.file}: `env_secrets.{variable}` is to hold the secret {name!r}, which project "
                    f"{project!r} does not have on this server"
                )
            environment[variable] = value
            hidden.append(value)
        return EdgePlan(
            slug=manifest.slug,
            project=project,
            entrypoint=manifest.entrypoint,
            folder=app.folder,
            limits=self.limits(manifest.cpu_mhz, manifest.memory_size_mb),
            environment={"_8080_ORGANIZATION_SLUG": manifest.organization_slug, **environment},
            secrets=tuple(hidden),
            python=self.python,
        )

    async def run(self, plan: EdgePlan) -> EdgeApp:
        """In place of the one with that slug, when it runs. Raises UserError without a place for it."""
        host, edge = self._opened()
        key = self._keys[plan.slug] = self._keys.get(plan.slug) or KEY_PREFIX + token_urlsafe(KEY_BYTES)
        name = KEY_NAME + plan.slug
        connections = caller_named("key", name)
        self._callers.lend(key, Caller(name, plan.project, plan.project, LIVE_SOURCE, connections, edge))
        told = {
            "_8080_PROJECT_SLUG": plan.slug,
            "_8080_API_URL": self.api_url,
            "_8080_PLATFORM_URL": self.api_url,
            "_8080_API_KEY": key,
            "OPENAI_BASE_URL": f"{self.api_url}/v1",
            "OPENAI_API_KEY": key,
            # 8080's SDK reports to the first; the exporters of OpenTelemetry read headers from the last.
            "8080_OTEL_COLLECTOR_URL": f"{self.api_url}/otlp",
            "8080_PROJECT_SLUG": plan.slug,
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{key}",
        }
        self._placed.pop(plan.slug, None)
        await self._place_files(plan)
        whole = plan.given(told, key)
        return await self._clock.elsewhere(host.thread.submit(host.start(whole)))

    async def stop(self, app: EdgeApp) -> None:
        assert self._host is not None
        slug = app.plan.slug
        await self._clock.elsewhere(self._host.thread.submit(self._host.stop(app)))
        if self._host.find(slug) is None:
            self._callers.take_back(self._keys.pop(slug))

    def close(self) -> None:
        if self._host is not None:
            self._host.close()

    def limits(self, cpu_mhz: float | None, memory_size_mb: int | None) -> AppLimits:
        section = self.section
        return AppLimits(
            memory_mb=memory_size_mb or section.memory_size_mb,
            share=(cpu_mhz or section.cpu_mhz) / section.reference_mhz,
        )

    def find(self, slug: str, caller: Caller) -> EdgeApp:
        """Raises ApiError 404, as to other projects an application does not exist."""
        app = None if self._host is None else self._host.find(slug)
        if app is None or not (self._callers.open_to_all or is_of_project(app.plan, caller.project)):
            message = f"There is no application `{slug[:LONGEST_ECHO]}` that this key may ask."
            raise ApiError(HTTPStatus.NOT_FOUND, message, code="app_not_found")
        return app

    async def ready(self, app: EdgeApp) -> AppLife:
        """Waits for one that is starting. Raises ApiError 503."""
        assert self._host is not None
        if app.state.name == "starting":
            await self._clock.elsewhere(self._host.thread.submit(app.until_settled(STARTING_S)))
        await self._place_files(app.plan)
        life, state = app.life, app.state
        if life is None or state.name != "running":
            message = f"The application `{app.plan.slug}` is not running ({state})."
            raise ApiError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                message,
                type=SERVER,
                code="app_not_running",
                headers={"retry-after": "1"},
            )
        return life

    async def _place_files(self, plan: EdgePlan) -> None:
        """Those that its project has uploaded or deleted since the last time."""
        changes = self._files.changes
        if self._placed.get(plan.slug) == changes:
            return
        self._placed[plan.slug] = changes
        project = None if self._callers.open_to_all else plan.project
        now_s = self._clock.unix_s()
        with suppress(OSError):  # a full disk keeps no application from answering
            await self._clock.aside(partial(place_files, self._files, project, plan.folder, now_s))

    def around(self, caller: Caller, traceparent: str) -> AppTrace | None:
        """The user's request that an application asks the model for, if that can be told."""
        slug = caller.key.removeprefix(KEY_NAME)
        app = None if slug == caller.key or self._host is None else self._host.find(slug)
        if app is None:
            return None
        traces = app.visits.traces
        passed_on = [trace for trace in traces if traceparent and trace.traceparent[:-2] == traceparent[:-2]]
        of_it = [trace for trace in traces if traceparent and trace.trace == trace_of(traceparent)]
        alone = traces if app.visits.in_flight == 1 else []
        return next((found[0] for found in (passed_on, of_it, alone) if len(found) == 1), None)

    def began(self, app: EdgeApp, life: AppLife) -> None:
        """It is given a request."""
        assert self._host is not None
        app.visits.in_flight += 1
        life.watchdog.in_flight += 1
        self._host.thread.soon(life.watchdog.wake)

    def over(self, app: EdgeApp, life: AppLife) -> None:
        app.visits.in_flight -= 1
        life.watchdog.in_flight -= 1

    @property
    def legs(self) -> UserLegs:
        assert self._legs is not None
        return self._legs

    def _opened(self) -> tuple[EdgeHost, str]:
        if self._host is None or self._legs is None:
            edge = edge_of(self._world)
            self._legs = UserLegs(self._world.network, self._world.streams, edge)
            self._host = EdgeHost(self._changed)
        return self._host, self._legs.edge

    def _changed(self, app: EdgeApp) -> None:
        for listener in self.listeners:
            listener(app)


def edge_of(world: World) -> str:
    """The name of the first place beside the accelerators. Raises UserError where there is none."""
    places = world.scenario.network.places
    found = next((name for name, place in places.items() if isinstance(place, EdgePlace)), None)
    if found is None:
        raise UserError("applications need a place to run at: state `network.places.edge: {kind: edge}`")
    return found


def is_of_project(plan: EdgePlan, project: str) -> bool:
    """What was deployed is of the project that deployed it, to the letter.

    A manifest names its project by a slug, which has no underscores.
    """
    if plan.isolated:
        return plan.project == project
    return plan.project.replace("_", "-") == project.replace("_", "-")
