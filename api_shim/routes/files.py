"""`/v1/files`: uploads go to the disk as they come, and are answered when they are durable.

Moving a file takes no simulated time: the model has no storage.
"""

import re
from collections.abc import AsyncIterator
from functools import partial
from http import HTTPStatus
from typing import Any, BinaryIO, get_args

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from api_shim.routes.described import TheShim, api_router, checked_query, query_parameters
from api_shim.shim import Shim
from api_shim.store.contents import Writing
from api_shim.store.files import StoredFile
from api_shim.store.full_disk import StorageFullError
from api_shim.wire.body import MEBIBYTE, checked_strings
from api_shim.wire.errors import LONGEST_ECHO, ApiError, bad_value, no_room
from api_shim.wire.file_objects import FileDeleted, FileList, FileObject, ListQuery, Purpose, UploadFields
from api_shim.wire.multipart import FormReader

AROUND_THE_FILE_BYTES = 128 * 1024
"""What the fields, headers and boundaries of a form may take, and more than they can."""
BYTES_AT_ONCE = MEBIBYTE
"""To and from the disk, hence what an upload or a download holds in memory."""
LONGEST_NAME = 255
UNNAMED = "upload"
FORM: dict[str, Any] = {
    "type": "object",
    "required": ["file", "purpose"],
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "purpose": {"enum": list(get_args(Purpose))},
        "expires_after[anchor]": {"const": "created_at"},
        "expires_after[seconds]": {"type": "integer", "minimum": 3600, "maximum": 2_592_000},
    },
}
"""Split by `wire.multipart`, as it comes, so that FastAPI only describes it."""

router = api_router("files", prefix="/v1")


@router.post(
    "/files",
    summary="Upload a file",
    openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": FORM}}}},
)
async def create_file(request: Request, shim: TheShim) -> FileObject:
    form = FormReader(request.headers.get("content-type", ""), "file")
    writing = await shim.clock.aside(shim.store.files.begin)
    try:
        await receive_upload(request, shim, form, writing, shim.settings.file_limit_bytes)
        file = await shim.clock.aside(partial(keep_upload, shim, request.state.caller.project, form, writing))
    except StorageFullError:
        raise no_room() from None
    finally:
        await shim.clock.aside(writing.discard)  # what was kept is not there any more
    return FileObject.of(file)


@router.get(
    "/files", summary="List the project's files", openapi_extra={"parameters": query_parameters(ListQuery)}
)
async def list_files(request: Request, shim: TheShim) -> FileList:
    project = request.state.caller.project
    query = checked_query(ListQuery, request)
    wanted = query.wanted()
    listed = await shim.clock.aside(lambda: shim.store.files.page(project, shim.clock.unix_s(), wanted))
    return FileList.of(listed, query.limit)


@router.get("/files/{file_id}", summary="Describe a file")
@router.post("/files/{file_id}", summary="Describe a file (8080's update)", operation_id="update_file")
async def retrieve_file(request: Request, shim: TheShim, file_id: str) -> FileObject:
    """Also for POST, by which 8080's client updates a file; there is nothing about it that could change."""
    return FileObject.of(await _found(request, shim, file_id))


@router.delete("/files/{file_id}", summary="Delete a file")
async def delete_file(request: Request, shim: TheShim, file_id: str) -> FileDeleted:
    project = request.state.caller.project
    try:
        there = await shim.clock.aside(lambda: shim.store.files.remove(project, file_id, shim.clock.unix_s()))
    except StorageFullError:
        raise no_room() from None
    if not there:
        raise no_such_file(file_id)
    return FileDeleted(id=file_id)


@router.get(
    "/files/{file_id}/content",
    summary="Read a file",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}},
)
async def file_content(request: Request, shim: TheShim, file_id: str) -> Response:
    """The bytes as they were."""
    return await content_of(request, shim, await _found(request, shim, file_id))


async def content_of(request: Request, shim: Shim, file: StoredFile) -> Response:
    """No browser takes it for a page."""
    headers = {
        "content-length": str(file.size_bytes),
        "content-disposition": "attachment",
        "x-content-type-options": "nosniff",
    }
    media = "application/octet-stream"
    if request.method == "HEAD":
        return Response(media_type=media, headers=headers)
    content = await shim.clock.aside(partial(shim.store.files.open, file))
    if content is None:
        raise no_such_file(file.id)
    return StreamingResponse(_pieces(shim, content), media_type=media, headers=headers)


async def receive_upload(
    request: Request, shim: Shim, form: FormReader, writing: Writing, limit_bytes: int
) -> None:
    """Raises ApiError, and StorageFullError."""
    most_bytes = limit_bytes + form.field_bytes + AROUND_THE_FILE_BYTES
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > most_bytes:
        raise too_large(form.name, limit_bytes)
    received = file_bytes = waiting_bytes = 0
    waiting: list[bytes] = []
    async for chunk in request.stream():
        received += len(chunk)
        pieces = form.feed(chunk)
        more_bytes = sum(map(len, pieces))
        file_bytes += more_bytes
        if file_bytes > limit_bytes or received > most_bytes:
            raise too_large(form.name, limit_bytes)
        waiting += pieces
        waiting_bytes += more_bytes
        if waiting_bytes >= BYTES_AT_ONCE:
            await shim.clock.aside(partial(writing.write, waiting))
            waiting, waiting_bytes = [], 0
    await shim.clock.aside(partial(writing.write, waiting))
    form.finish()


def keep_upload(shim: Shim, project: str, form: FormReader, writing: Writing) -> StoredFile:
    fields = _upload_fields(form.fields)
    created_s = int(shim.clock.unix_s())
    lasting = fields.expires_after
    return shim.store.files.add(
        writing,
        instance=shim.settings.instance,
        project=project,
        filename=_label(form.filename or ""),
        purpose=fields.purpose,
        created_s=created_s,
        expires_s=None if lasting is None else created_s + lasting.seconds,
    )


def _upload_fields(form: dict[str, str]) -> UploadFields:
    """Nested fields are written `expires_after[seconds]`."""
    data: dict[str, object] = {name: value for name, value in form.items() if "[" not in name}
    lasting = {
        found[1]: value
        for name, value in form.items()
        if (found := re.fullmatch(r"expires_after\[(\w+)\]", name))
    }
    return checked_strings(UploadFields, data | ({"expires_after": lasting} if lasting else {}))


def _label(filename: str) -> str:
    """The last name of a path of any system. Raises ApiError 400."""
    name = re.split(r"[/\\]", filename)[-1]
    if len(name) > LONGEST_NAME:
        raise bad_value("file", f"The filename has {len(name)} characters: at most {LONGEST_NAME} are taken.")
    return UNNAMED if name in {"", ".", ".."} else name


async def _found(request: Request, shim: Shim, file_id: str) -> StoredFile:
    project = request.state.caller.project
    file = await shim.clock.aside(lambda: shim.store.files.get(project, file_id, shim.clock.unix_s()))
    if file is None:
        raise no_such_file(file_id)
    return file


async def _pieces(shim: Shim, content: BinaryIO) -> AsyncIterator[bytes]:
    with content:
        while piece := await shim.clock.aside(partial(content.read, BYTES_AT_ONCE)):
            yield piece


def no_such_file(file_id: str) -> ApiError:
    message = f"No such File object: {file_id[:LONGEST_ECHO]}"
    return ApiError(HTTPStatus.NOT_FOUND, message, param="id", code="file_not_found")


def too_large(name: str, limit_bytes: int) -> ApiError:
    message = f"The file is larger than {limit_bytes:,} bytes."
    return ApiError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message, param=name, code="file_too_large")
