"""The files of all projects: uploaded, read and deleted."""

from functools import partial
from typing import Annotated, get_args

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from api_shim.accounts.new_key import NotAKeyError, check
from api_shim.dashboard.pages import (
    ROOT,
    SignedForm,
    SignedIn,
    check_csrf,
    check_origin,
    page,
    page_router,
    see_other,
)
from api_shim.routes.described import TheShim
from api_shim.routes.files import content_of, keep_upload, no_such_file, receive_upload
from api_shim.store.files import Wanted
from api_shim.store.full_disk import StorageFullError
from api_shim.wire.errors import bad_value, no_room
from api_shim.wire.file_objects import Purpose
from api_shim.wire.multipart import FormReader

PER_PAGE = 50
MOST_PAGES = 10**6
router = page_router()


@router.get("/files")
async def list_files(
    request: Request,
    shim: TheShim,
    session: SignedIn,
    number: Annotated[int, Query(alias="page", ge=1, le=MOST_PAGES)] = 1,
) -> Response:
    del session
    wanted = Wanted(PER_PAGE, offset=(number - 1) * PER_PAGE)
    listed = await shim.clock.aside(lambda: shim.store.files.page(None, shim.clock.unix_s(), wanted))
    return await page(
        request,
        shim,
        "files.html",
        files=listed.files,
        total=listed.total,
        number=number,
        has_more=listed.offset + len(listed.files) < listed.total,
        purposes=get_args(Purpose),
        most_bytes=shim.settings.file_limit_bytes,
    )


@router.post("/files")
async def upload_file(request: Request, shim: TheShim, session: SignedIn) -> Response:
    """The fields come before the file, and are looked at when all of it is there."""
    check_origin(request)
    form = FormReader(request.headers.get("content-type", ""), "file")
    writing = await shim.clock.aside(shim.store.files.begin)
    try:
        await receive_upload(request, shim, form, writing, shim.settings.file_limit_bytes)
        check_csrf(session, form.fields)
        project = form.fields.pop("project", "")
        check(project, "")
        await shim.clock.aside(partial(keep_upload, shim, project, form, writing))
    except NotAKeyError as error:
        raise bad_value("project", f"The {error}.") from None
    except StorageFullError:
        raise no_room() from None
    finally:
        await shim.clock.aside(writing.discard)  # what was kept is not there any more
    return see_other(f"{ROOT}/files")


@router.get("/files/{file_id}/content")
async def read_file(request: Request, shim: TheShim, session: SignedIn, file_id: str) -> Response:
    """To be saved, never shown: what is in it is a client's."""
    del session
    file = await shim.clock.aside(lambda: shim.store.files.get(None, file_id, shim.clock.unix_s()))
    if file is None:
        raise no_such_file(file_id)
    return await content_of(request, shim, file)


@router.post("/files/{file_id}/delete")
async def delete_file(shim: TheShim, form: SignedForm, file_id: str) -> Response:
    del form
    try:
        there = await shim.clock.aside(lambda: shim.store.files.remove(None, file_id, shim.clock.unix_s()))
    except StorageFullError:
        raise no_room() from None
    if not there:
        raise no_such_file(file_id)
    return see_other(f"{ROOT}/files")
