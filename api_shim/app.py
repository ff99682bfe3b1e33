"""The application: routes, error handlers and the door, around one `Shim`.

Plain Starlette: FastAPI's machinery costs a quarter more per request, and bodies are checked by hand anyway,
because a fault in them answers 400 with OpenAI's error object.
"""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from api_shim.clocks.clock import Clock
from api_shim.content.plan import Content, Synthetic
from api_shim.middleware import Door
from api_shim.routes import chat, completions, description, files, health, models
from api_shim.settings import ServerSettings
from api_shim.shim import Shim
from api_shim.store.store import Store
from api_shim.wire import errors
from sim.run.journal import Journal
from sim.run.world import World

ROUTES = [
    *chat.ROUTES,
    *completions.ROUTES,
    *models.ROUTES,
    *files.ROUTES,
    *health.ROUTES,
    *description.ROUTES,
]


def create_app(
    world: World,
    clock: Clock,
    settings: ServerSettings | None = None,
    content: Content | None = None,
    journal: Journal | None = None,
    store: Store | None = None,
) -> Starlette:
    """`world` stands on the clock's timeline, built with `keep_schedule`, without sources of its own."""
    assert world.env is clock.timeline
    shim = Shim(world, clock, content or Synthetic(), settings or ServerSettings(), journal, store)
    door = Middleware(Door, shim=shim)
    app = Starlette(
        routes=ROUTES,
        middleware=[_cors(shim.settings.cors_origins), door] if shim.settings.cors_origins else [door],
        exception_handlers={errors.ApiError: errors.on_api_error, HTTPException: errors.on_http_error},
    )
    app.router.redirect_slashes = False
    app.state.shim = shim
    return app


def _cors(origins: tuple[str, ...]) -> Middleware:
    """Before the door: a browser asks without the key whether it may send it.

    All headers can be read, the simulated stamps and the limits among them; cookies are nobody's here.
    """
    return Middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["*"],
        expose_headers=["*"],
    )
