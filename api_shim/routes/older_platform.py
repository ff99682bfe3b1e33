"""`/api/secrets` and `/api/endpoint`: what clients up to 0.1.0a11 ask instead of `/v1`."""

from functools import partial
from typing import Annotated

from fastapi import Path
from starlette.requests import Request

from api_shim.routes.artifacts import (
    CONFIG_BYTES,
    FILE,
    PART,
    finish_upload,
    open_upload,
    receive_artifact,
    receive_part,
    the_form,
    unfinished,
)
from api_shim.routes.described import TheShim, api_router
from api_shim.routes.jobs import deploy
from api_shim.store.artifacts import MOST_PARTS
from api_shim.store.secrets import MOST_SECRETS
from api_shim.wire.body import parse
from api_shim.wire.platform_objects import (
    ArtifactConfig,
    ArtifactObject,
    DeploymentMade,
    JobBody,
    OlderSecretList,
    OlderUploadBody,
    PartObject,
)

METADATA = "metadata"
PartNumber = Annotated[int, Path(ge=1, le=MOST_PARTS)]

router = api_router("older platform", prefix="/api")
ENDPOINT = "/endpoint/{organisation}/{slug}"


@router.get("/secrets/{slug}", summary="List the project's secrets")
async def list_older_secrets(request: Request, shim: TheShim, slug: str, local: str = "0") -> OlderSecretList:
    """With `local=1` those for development, else the others."""
    del slug
    project = request.state.caller.project
    listing = partial(
        shim.store.secrets.page, project, local=local in {"1", "true"}, limit=MOST_SECRETS, offset=0
    )
    return OlderSecretList.of(await shim.clock.aside(listing))


@router.post(
    ENDPOINT + "/artifact",
    summary="Upload an app in one piece",
    openapi_extra=the_form(FILE, {METADATA: {"type": "string", "contentMediaType": "application/json"}}),
)
async def create_older_artifact(
    request: Request, shim: TheShim, organisation: str, slug: str
) -> ArtifactObject:
    del organisation, slug

    return ArtifactObject.of(await receive_artifact(request, shim, METADATA, _config))


def _config(text: str) -> ArtifactConfig:
    return parse(OlderUploadBody, text.encode()).newer()


@router.post(
    ENDPOINT + "/artifact/multipart", summary="Begin to upload an app in parts", max_body_size=CONFIG_BYTES
)
async def begin_older_multipart(
    request: Request, shim: TheShim, organisation: str, slug: str, body: OlderUploadBody
) -> ArtifactObject:
    del organisation, slug
    return ArtifactObject.of(await open_upload(request, shim, body.newer()))


@router.post(
    ENDPOINT + "/artifact/multipart/{artifact_id}/{number}",
    summary="Upload a part of an app",
    openapi_extra=the_form(PART, {}),
)
async def upload_older_part(
    request: Request, shim: TheShim, organisation: str, slug: str, artifact_id: str, number: PartNumber
) -> PartObject:
    del organisation, slug
    return await receive_part(request, shim, await unfinished(request, shim, artifact_id), number)


@router.post(ENDPOINT + "/artifact/multipart/{artifact_id}", summary="Make a whole of the parts of an app")
async def finish_older_multipart(
    request: Request, shim: TheShim, organisation: str, slug: str, artifact_id: str
) -> ArtifactObject:
    del organisation, slug
    return ArtifactObject.of(await finish_upload(request, shim, artifact_id))


@router.post(ENDPOINT + "/deploy", summary="Deploy an artifact", max_body_size=CONFIG_BYTES)
async def deploy_older_artifact(
    request: Request, shim: TheShim, organisation: str, slug: str, body: JobBody
) -> DeploymentMade:
    del organisation, slug
    return await deploy(request, shim, body.artifact_id)
