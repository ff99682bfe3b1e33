"""The applications that run beside the platform: what they are doing, what they use, what they last said."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from api_shim.dashboard.pages import SignedIn, page, page_router
from api_shim.edge.addresses import HOSTED
from api_shim.edge.edge_app import EdgeApp
from api_shim.routes.described import TheShim
from api_shim.shim import Shim

LINES = 40
BADGES = {"running": "good", "starting": "", "stopped": ""}
router = page_router()


@dataclass(frozen=True, slots=True)
class ShownApp:
    """One application at this moment."""

    app: EdgeApp
    address: str
    badge: str
    share: float | None
    """Of one core, over the last seconds; None while nothing runs."""
    held_bytes: int | None
    overhead_p50_ps: int | None
    overhead_p99_ps: int | None
    app_p50_ps: int | None
    lines: list[str]

    @classmethod
    def of(cls, app: EdgeApp) -> "ShownApp":
        watchdog = None if app.life is None else app.life.watchdog
        visits = app.visits
        return cls(
            app=app,
            address=f"{HOSTED}/{app.plan.slug}/",
            badge=BADGES.get(app.state.name, "bad"),
            share=None if watchdog is None else watchdog.recent_share(),
            held_bytes=None if watchdog is None else watchdog.memory.held_bytes,
            overhead_p50_ps=visits.overhead.quantile(0.5),
            overhead_p99_ps=visits.overhead.quantile(0.99),
            app_p50_ps=visits.app.quantile(0.5),
            lines=app.log.lines[-LINES:],
        )


@router.get("/apps")
async def list_apps(request: Request, shim: TheShim, session: SignedIn) -> Response:
    del session
    return await _page(request, shim, "apps.html")


@router.get("/apps/live")
async def live_apps(request: Request, shim: TheShim, session: SignedIn) -> Response:
    """Only what changes."""
    del session
    return await _page(request, shim, "apps_live.html")


async def _page(request: Request, shim: Shim, template: str) -> Response:
    return await page(request, shim, template, apps=[ShownApp.of(app) for app in shim.edge.apps])
