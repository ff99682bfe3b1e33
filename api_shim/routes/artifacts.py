"""`/v1/artifacts` and `/v1/multipart`: the zip file of an app, whole or in parts, to the disk as it comes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from pydantic import Field
from starlette.requests import Request

from api_shim.accounts.deployments import NoArtifactError
from api_shim.routes.described import TheShim, api_router
from api_shim.routes.files import receive_upload, too_large
from api_shim.shim import Shim
from api_shim.store.archives import BadArchiveError
from api_shim.store.artifacts import (
    MOST_PARTS,
    MOST_UPLOADS,
    Artifact,
    MissingPartError,
    TooManyUploadsError,
)
from api_shim.store.full_disk import StorageFullError
from api_shim.wire.body import Body, checked_strings, parse
from api_shim.wire.errors import LONGEST_ECHO, ApiError, bad_value, no_room
from api_shim.wire.multipart import FormReader
from api_shim.wire.platform_objects import ArtifactConfig, ArtifactObject, PartObject, UploadBody

FILE, PART, CONFIG = "artifact.zip", "artifact_part", "config"
"""Of forms."""
CONFIG_BYTES = 2**20

router = api_router("artifacts", prefix="/v1")


class PartFields(Body):
    part_num: Annotated[int, Field(ge=1, le=MOST_PARTS)]


def the_form(file: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Split by `wire.multipart`, as it comes, so that FastAPI only describes it."""
    members = {file: {"type": "string", "format": "binary"}, **fields}
    schema = {"type": "object", "required": [*members], "properties": members}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


@router.post(
    "/artifacts",
    summary="Upload an app in one piece",
    openapi_extra=the_form(FILE, {CONFIG: {"type": "string", "contentMediaType": "application/json"}}),
)
async def create_artifact(request: Request, shim: TheShim) -> ArtifactObject:
    return ArtifactObject.of(await receive_artifact(request, shim, CONFIG, _config))


def _config(text: str) -> ArtifactConfig:
    return parse(ArtifactConfig, text.encode())


async def receive_artifact(
    request: Request, shim: Shim, config_field: str, read_config: Callable[[str], ArtifactConfig]
) -> Artifact:
    """Of a form with its configuration in `config_field`."""
    form = FormReader(request.headers.get("content-type", ""), FILE, CONFIG_BYTES)
    artifacts, project = shim.store.artifacts, request.state.caller.project
    with refusals():
        writing = await shim.clock.aside(artifacts.begin)
        try:
            await receive_upload(request, shim, form, writing, shim.settings.artifact_limit_bytes)
            if config_field not in form.fields:
                message = f"Missing required parameter: '{config_field}'."
                raise bad_value(config_field, message, "missing_required_parameter")
            config = read_config(form.fields[config_field])
            return await shim.clock.aside(
                partial(
                    artifacts.add,
                    writing,
                    shim.new_id("art_"),
                    project,
                    config.kept(),
                    int(shim.clock.unix_s()),
                    shim.deployments.check_archive,
                )
            )
        finally:
            await shim.clock.aside(writing.discard)  # what was kept is not there any more


@router.post("/multipart", summary="Begin to upload an app in parts", max_body_size=CONFIG_BYTES)
async def begin_multipart(request: Request, shim: TheShim, body: UploadBody) -> ArtifactObject:
    return ArtifactObject.of(await open_upload(request, shim, body.config))


async def open_upload(request: Request, shim: Shim, config: ArtifactConfig) -> Artifact:
    project, created_s = request.state.caller.project, int(shim.clock.unix_s())
    opening = partial(
        shim.store.artifacts.open_upload, shim.new_id("art_"), project, config.kept(), created_s
    )
    with refusals():
        return await shim.clock.aside(opening)


@router.post(
    "/multipart/{artifact_id}/part",
    summary="Upload a part of an app",
    openapi_extra=the_form(PART, {"part_num": {"type": "integer", "minimum": 1, "maximum": MOST_PARTS}}),
)
async def upload_part(request: Request, shim: TheShim, artifact_id: str) -> PartObject:
    """Parts are numbered from 1. One that is sent again takes the place of the first."""
    artifact = await unfinished(request, shim, artifact_id)
    return await receive_part(request, shim, artifact, None)


async def receive_part(request: Request, shim: Shim, artifact: Artifact, number: int | None) -> PartObject:
    """`number` None: the form says which it is."""
    form = FormReader(request.headers.get("content-type", ""), PART)
    artifacts = shim.store.artifacts
    with refusals():
        writing = await shim.clock.aside(artifacts.begin)
        try:
            limit_bytes = shim.settings.artifact_limit_bytes
            await receive_upload(request, shim, form, writing, limit_bytes)
            if number is None:  # it may stand behind the file
                number = checked_strings(PartFields, form.fields).part_num
            others_bytes = await shim.clock.aside(partial(artifacts.uploaded_bytes, artifact, number))
            if others_bytes + writing.size_bytes > limit_bytes:
                raise too_large(PART, limit_bytes)
            await shim.clock.aside(partial(artifacts.add_part, artifact, number, writing))
        finally:
            await shim.clock.aside(writing.discard)
    return PartObject(artifact_id=artifact.id, part_num=number, size_bytes=writing.size_bytes)


@router.post("/multipart/{artifact_id}/finish", summary="Make a whole of the parts of an app")
async def finish_multipart(request: Request, shim: TheShim, artifact_id: str) -> ArtifactObject:
    """One that is whole already stays as it is."""
    return ArtifactObject.of(await finish_upload(request, shim, artifact_id))


async def finish_upload(request: Request, shim: Shim, artifact_id: str) -> Artifact:
    upload = await _found(request, shim, artifact_id)
    try:
        with refusals():
            return await shim.deployments.finish(upload)
    except NoArtifactError:
        raise no_such_artifact(artifact_id) from None


@contextmanager
def refusals() -> Iterator[None]:
    """Raises ApiError for what the store raises, and for what is wrong with the content."""
    try:
        yield
    except BadArchiveError as error:
        raise bad_value(FILE, f"The artifact is refused. {error}", "invalid_artifact") from None
    except MissingPartError as error:
        raise bad_value("part_num", f"The upload is not complete: {error}.", "missing_part") from None
    except TooManyUploadsError:
        message = f"The project has {MOST_UPLOADS} uploads that are not finished, which is all that it may."
        raise ApiError(HTTPStatus.TOO_MANY_REQUESTS, message, code="upload_limit") from None
    except StorageFullError:
        raise no_room() from None


async def unfinished(request: Request, shim: Shim, artifact_id: str) -> Artifact:
    artifact = await _found(request, shim, artifact_id)
    if artifact.digest is not None:
        message = "The upload is finished: nothing can be added to it."
        raise ApiError(HTTPStatus.CONFLICT, message, param="artifact_id", code="upload_finished")
    return artifact


async def _found(request: Request, shim: Shim, artifact_id: str) -> Artifact:
    getting = partial(shim.store.artifacts.get, request.state.caller.project, artifact_id)
    artifact = await shim.clock.aside(getting)
    if artifact is None:
        raise no_such_artifact(artifact_id)
    return artifact


def no_such_artifact(artifact_id: str) -> ApiError:
    message = f"No such artifact: {artifact_id[:LONGEST_ECHO]}"
    return ApiError(HTTPStatus.NOT_FOUND, message, param="artifact_id", code="artifact_not_found")
