"""`/api/sandbox/{organisation}/{slug}`: what clients up to 0.1.0a12 ask instead of `/v1/sandboxes`."""

from starlette.requests import Request
from starlette.responses import Response

from api_shim.routes.described import TheShim, api_router
from api_shim.routes.sandboxes import (
    MOST_BODY_BYTES,
    create_sandbox,
    list_sandboxes,
    stop_sandbox,
)
from api_shim.wire.sandbox_objects import CreatedSandbox, SandboxBody, SandboxList, SandboxObject

router = api_router("older sandboxes", prefix="/api/sandbox/{organisation}/{slug}")


@router.post("/deploy", summary="Create a sandbox", max_body_size=MOST_BODY_BYTES)
async def deploy_sandbox(
    request: Request, response: Response, shim: TheShim, body: SandboxBody | None = None
) -> CreatedSandbox:
    """Of the key's project, whatever the path says."""
    return await create_sandbox(request, response, shim, body)


@router.get("/list", summary="List the project's sandboxes")
async def list_deployed_sandboxes(request: Request, shim: TheShim) -> SandboxList:
    return await list_sandboxes(request, shim)


@router.post("/{sandbox_id}/stop", summary="Stop a sandbox")
async def stop_deployed_sandbox(request: Request, shim: TheShim, sandbox_id: str) -> SandboxObject:
    return await stop_sandbox(request, shim, sandbox_id)
