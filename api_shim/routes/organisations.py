"""`/api/org` and `/api/project`: what 8080's client asks before there is a project, with a login's token."""

from http import HTTPStatus
from typing import Annotated

from fastapi import Path
from starlette.requests import Request

from api_shim.routes.described import TheShim, api_router
from api_shim.store.full_disk import StorageFullError
from api_shim.store.projects import MOST_PROJECTS, OWN_ORGANISATION, TooManyProjectsError
from api_shim.wire.errors import ApiError, no_room
from api_shim.wire.platform_objects import Membership, MembershipList, ProjectBody, ProjectMade

OrganisationSlug = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]
MOST_BODY_BYTES = 2**16

router = api_router("organisations", prefix="/api")


@router.get("/org", summary="List the organisations of whoever has logged in")
async def list_organisations(request: Request, shim: TheShim) -> MembershipList:
    assert request.state.login
    made = await shim.clock.aside(shim.store.projects.organisations)
    slugs = [OWN_ORGANISATION, *(slug for slug in made if slug != OWN_ORGANISATION)]
    return MembershipList(memberships=[Membership.of(slug) for slug in slugs])


@router.put(
    "/project/{organisation}",
    summary="Make a project, or find the one of that name",
    max_body_size=MOST_BODY_BYTES,
)
async def ensure_project(
    request: Request, shim: TheShim, organisation: OrganisationSlug, body: ProjectBody
) -> ProjectMade:
    assert request.state.login
    now_s = shim.clock.unix_s()
    try:
        project = await shim.clock.aside(
            lambda: shim.store.projects.ensure(organisation, body.project_name, now_s)
        )
    except TooManyProjectsError:
        message = f"There are {MOST_PROJECTS:,} projects, which is all that the server keeps."
        raise ApiError(HTTPStatus.CONFLICT, message, code="project_limit") from None
    except StorageFullError:
        raise no_room() from None
    return ProjectMade(project_id=f"proj_{project.slug}", project_slug=project.slug)
