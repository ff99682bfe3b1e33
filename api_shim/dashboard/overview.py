"""The first page, whose numbers a script asks for again each second."""

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api_shim.dashboard.pages import SignedIn, dashboard_of, page, page_router
from api_shim.routes.described import TheShim

router = page_router()


@router.get("")
@router.get("/")
async def overview(request: Request, shim: TheShim, session: SignedIn) -> Response:
    del session
    moment = dashboard_of(request).live.moment()
    return await page(request, shim, "overview.html", now=moment)


@router.get("/live")
async def live(request: Request, shim: TheShim, session: SignedIn) -> Response:
    """Only what changes."""
    del session
    moment = dashboard_of(request).live.moment()
    return await page(request, shim, "live.html", now=moment)


@router.get("/{path:path}")
async def missing(session: SignedIn) -> Response:
    """What no other page is; the last of all routes of the dashboard."""
    del session
    raise HTTPException(HTTPStatus.NOT_FOUND)
