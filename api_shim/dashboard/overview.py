"""The first page, whose numbers a script asks for again each second."""

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api_shim.dashboard.pages import SignedIn, dashboard_of, page, page_router
from api_shim.routes.described import TheShim

router = page_router()
SPARK_HEIGHT = 40.0


@router.get("")
@router.get("/")
async def overview(request: Request, shim: TheShim, session: SignedIn) -> Response:
    del session
    moment = dashboard_of(request).live.moment()
    return await page(request, shim, "overview.html", now=moment, spark=_spark(moment.course))


@router.get("/live")
async def live(request: Request, shim: TheShim, session: SignedIn) -> Response:
    """Only what changes."""
    del session
    moment = dashboard_of(request).live.moment()
    return await page(request, shim, "live.html", now=moment, spark=_spark(moment.course))


@router.get("/{path:path}")
async def missing(session: SignedIn) -> Response:
    """What no other page is; the last of all routes of the dashboard."""
    del session
    raise HTTPException(HTTPStatus.NOT_FOUND)


def _spark(values: list[float]) -> str:
    """Points of a line, a unit to the right for each value."""
    most = max(values, default=0.0) or 1.0
    return " ".join(f"{x},{SPARK_HEIGHT * (1 - value / most):.1f}" for x, value in enumerate(values))
