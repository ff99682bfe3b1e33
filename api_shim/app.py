"""The application: a table of routers, one handler for what goes wrong, and the door, around one `Shim`."""

from collections.abc import Iterator
from copy import copy

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route

from api_shim.batches.runner import BatchRunner
from api_shim.clocks.clock import Clock
from api_shim.content.own_words import Synthetic
from api_shim.content.plan import Content
from api_shim.content.replay import with_written
from api_shim.dashboard import PAGES, faults
from api_shim.dashboard.pages import Dashboard
from api_shim.middleware import Door
from api_shim.routes import (
    artifacts,
    batches,
    chat,
    completions,
    description,
    files,
    health,
    hosted,
    jobs,
    live,
    models,
    older_platform,
    older_sandboxes,
    organisations,
    sandbox_agent,
    sandbox_terminals,
    sandboxes,
    secrets,
    telemetry,
    traces,
)
from api_shim.routes.described import PlainRoute
from api_shim.routes.responses import conversations, create, stored
from api_shim.routes.responses.background import Background
from api_shim.settings import ServerSettings
from api_shim.shim import Shim
from api_shim.store.store import Store
from api_shim.telemetry.live_figures import LiveCourse
from api_shim.tracing.tracer import Export
from api_shim.wire.body import refusal_of_fault
from api_shim.wire.errors import ApiError, not_routed
from sim.run.journal import Journal
from sim.run.world import World

DESCRIPTION = (
    "OpenAI's API, as the 8080 platform has it, answered by a simulation: "
    "texts are made up, times are the model's."
)
SANDBOXES = [sandboxes, sandbox_agent, sandbox_terminals, older_sandboxes]
RESPONSES = [create, stored, conversations]
PLATFORM = [organisations, secrets, artifacts, jobs, telemetry, older_platform]
EDGE = [hosted]
GROUPS = [
    chat,
    completions,
    *RESPONSES,
    models,
    files,
    batches,
    *SANDBOXES,
    *PLATFORM,
    *EDGE,
    traces,
    faults,
    health,
    live,
    description,
    *PAGES,
]
"""Of endpoints, each with its `router`; the first that fits a request takes it."""


def create_app(
    world: World,
    clock: Clock,
    settings: ServerSettings | None = None,
    content: Content | None = None,
    journal: Journal | None = None,
    store: Store | None = None,
    export: Export | None = None,
) -> description.DescribedApp:
    """`world` stands on the clock's timeline, built with `keep_schedule`, without sources of its own."""
    assert world.env is clock.timeline
    shim = Shim(
        world,
        clock,
        with_written(world.scenario, content or Synthetic()),
        settings or ServerSettings(),
        journal,
        store,
        export,
    )
    routes = list(_routes())
    straight = {
        route.path: route.endpoint
        for route in routes
        if isinstance(route, PlainRoute) and route.event is not None
    }
    door = Middleware(Door, shim=shim, straight=straight)
    app = description.DescribedApp(
        title="e80sim",
        version="1",
        description=DESCRIPTION,
        routes=routes,
        middleware=[_cors(shim.settings.cors_origins), door] if shim.settings.cors_origins else [door],
        exception_handlers=dict.fromkeys((ApiError, HTTPException, RequestValidationError), on_error),
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # its times would be the wall's
    )
    app.state.shim = shim
    app.state.dashboard = Dashboard(shim)
    app.state.live = LiveCourse(shim)
    app.state.batches = BatchRunner(shim, batches.ENDPOINTS)
    app.state.background = Background(shim)
    return app


def _routes() -> Iterator[BaseRoute]:
    """FastAPI's own `include_router` matches each request once for every group on its way."""
    for group in GROUPS:
        for route in group.router.routes:
            yield route
            if isinstance(route, APIRoute) and "GET" in (route.methods or ()):
                yield _head_of(route)


def _head_of(route: APIRoute) -> APIRoute:
    """What may be read may be asked about: Starlette's routes take HEAD by themselves, FastAPI's do not."""
    head = copy(route)
    head.methods, head.include_in_schema = {"HEAD"}, False
    return head


async def on_error(request: Request, error: Exception) -> Response:
    """Whatever is wrong with a request: OpenAI's error object, with 400 for what FastAPI says 422 to."""
    if isinstance(error, RequestValidationError):
        fault: ErrorDetails = error.errors()[0]
        error = refusal_of_fault({**fault, "loc": fault["loc"][1:]})  # without `body`, `query` or `path`
    elif isinstance(error, HTTPException):
        error = not_routed(request, error, _allowed(request))
    assert isinstance(error, ApiError)
    return error.response()


def _allowed(request: Request) -> set[str]:
    """The methods of all routes to its path. Starlette's refusal names those of the first one."""
    methods: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    return methods


def _cors(origins: tuple[str, ...]) -> Middleware:
    """Before the door: a browser asks without the key whether it may send it.

    All headers can be read, the simulated stamps and the limits among them; cookies are nobody's here.
    """
    return Middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        allow_headers=["*"],
        expose_headers=["*"],
    )
