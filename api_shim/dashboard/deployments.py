"""What was deployed: where `8080 deploy` sends people to look. Secrets stand there by name."""

from http import HTTPStatus

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api_shim.dashboard.pages import ROOT, SignedIn, page, page_router
from api_shim.routes.described import TheShim
from api_shim.wire.errors import ApiError
from api_shim.wire.platform_objects import date_of

router = APIRouter()
_pages = page_router()
_links = APIRouter(include_in_schema=False)
SHOWN = 20


@_links.get("/o/{organisation}/p/{slug}/edge/deployment/{deployment_id}")
async def link(organisation: str, slug: str, deployment_id: str) -> Response:
    """As 8080's client prints it."""
    del organisation, slug
    safe = "".join(
        letter for letter in deployment_id if letter.isascii() and (letter.isalnum() or letter == "_")
    )
    return RedirectResponse(f"{ROOT}/deployments/{safe}", HTTPStatus.SEE_OTHER)


@_pages.get("/deployments/{deployment_id}")
async def show_deployment(request: Request, shim: TheShim, session: SignedIn, deployment_id: str) -> Response:
    del session
    deployment = await shim.deployments.get(None, deployment_id)
    if deployment is None:
        raise ApiError(HTTPStatus.NOT_FOUND, "There is no such deployment.")
    artifact = await shim.deployments.artifact(deployment)
    others = await shim.deployments.page(deployment.project, SHOWN, 0)
    return await page(
        request,
        shim,
        "deployment.html",
        deployment=deployment,
        artifact=artifact,
        others=[one for one in others.deployments if one.id != deployment.id],
        date_of=date_of,
    )


router.routes += [*_links.routes, *_pages.routes]
