"""`/v1/jobs`: an artifact becomes a deployment of its project; and what became of those before it."""

from starlette.requests import Request

from api_shim.accounts.deployments import NoArtifactError
from api_shim.routes.artifacts import no_such_artifact
from api_shim.routes.described import TheShim, api_router, checked_query, query_parameters
from api_shim.shim import Shim
from api_shim.store.full_disk import StorageFullError
from api_shim.wire.errors import no_room
from api_shim.wire.platform_objects import (
    DeploymentMade,
    JobBody,
    JobHistoryList,
    JobList,
    JobObject,
    PageQuery,
)

JOBS = 20
"""The newest ones, those that are over included; `/v1/job-histories` has all."""
MOST_BODY_BYTES = 2**16

router = api_router("jobs", prefix="/v1")


@router.post("/jobs", summary="Deploy an artifact", max_body_size=MOST_BODY_BYTES)
async def create_job(request: Request, shim: TheShim, body: JobBody) -> DeploymentMade:
    return await deploy(request, shim, body.artifact_id)


async def deploy(request: Request, shim: Shim, artifact_id: str) -> DeploymentMade:
    try:
        made = await shim.deployments.create(request.state.caller.project, artifact_id)
    except NoArtifactError:
        raise no_such_artifact(artifact_id) from None
    except StorageFullError:
        raise no_room() from None
    return DeploymentMade(deployment_id=made.id)


@router.get("/jobs", summary="List the project's newest deployments, with their status")
async def list_jobs(request: Request, shim: TheShim) -> JobList:
    page = await shim.deployments.page(request.state.caller.project, JOBS, 0)
    return JobList(jobs=[JobObject.of(one) for one in page.deployments])


@router.get(
    "/job-histories",
    summary="List all deployments that the project has had, newest first",
    openapi_extra={"parameters": query_parameters(PageQuery)},
)
async def list_job_histories(request: Request, shim: TheShim) -> JobHistoryList:
    query = checked_query(PageQuery, request)
    page = await shim.deployments.page(request.state.caller.project, query.limit, query.offset)
    return JobHistoryList.of(page, query.limit)
