"""`/v1/batches`: files of requests that are run behind everybody else's, within a day of simulated time."""

from functools import partial
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api_shim.accounts.callers import Caller
from api_shim.batches.input_file import MOST_INPUT_BYTES
from api_shim.batches.job import Endpoints
from api_shim.batches.runner import BatchRunner
from api_shim.routes.chat import CHAT
from api_shim.routes.common import is_from_8080, shim_of
from api_shim.routes.completions import COMPLETIONS
from api_shim.routes.described import TheShim, add_described, api_router, query_parameters
from api_shim.routes.responses.create import RESPONSES
from api_shim.shim import Shim
from api_shim.store.batches import MOST_UNFINISHED, NewBatch, StoredBatch, TooManyBatchesError
from api_shim.store.files import StoredFile
from api_shim.store.full_disk import StorageFullError
from api_shim.wire.batch_objects import (
    METADATA,
    WINDOW_S,
    BatchList,
    BatchListQuery,
    BatchObject,
    CreateBatchBody,
)
from api_shim.wire.body import checked_strings, parse, read
from api_shim.wire.errors import LONGEST_ECHO, ApiError, bad_value, no_room

ENDPOINTS: Endpoints = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": COMPLETIONS,
    "/v1/responses": RESPONSES,
}
"""That the lines of a batch can go to."""

router = api_router("batches", prefix="/v1")


def _runner_of(request: Request) -> BatchRunner:
    runner: BatchRunner = request.app.state.batches
    return runner


async def _runner(request: Request) -> BatchRunner:
    return _runner_of(request)


TheRunner = Annotated[BatchRunner, Depends(_runner)]


async def create_batch(request: Request) -> Response:
    """What is wrong with the file itself shows in the batch, which then has failed."""
    shim, caller = shim_of(request), request.state.caller
    body = parse(CreateBatchBody, await read(request, shim.settings.body_limit_bytes))
    if body.endpoint not in ENDPOINTS:
        known = ", ".join(ENDPOINTS)
        message = f"A batch cannot go to '{body.endpoint[:LONGEST_ECHO]}': there are {known}."
        raise bad_value("endpoint", message)
    file = await _input_file(shim, caller, body.input_file_id)
    try:
        batch = await _runner_of(request).create(_new(shim, caller, body), file)
    except FileNotFoundError:
        raise _no_such_input(body.input_file_id) from None
    except TooManyBatchesError:
        raise _too_many() from None
    except StorageFullError:
        raise no_room() from None
    told = BatchObject.of(batch, to_8080=is_from_8080(request))
    return JSONResponse(told.model_dump(mode="json"))


add_described(
    router,
    "/batches",
    create_batch,
    body=CreateBatchBody,
    answer=BatchObject,
    summary="Run a file of requests",
)


@router.get(
    "/batches",
    summary="List the project's batches",
    openapi_extra={"parameters": query_parameters(BatchListQuery)},
)
async def list_batches(request: Request, shim: TheShim) -> BatchList:
    project = request.state.caller.project
    query = checked_strings(BatchListQuery, dict(request.query_params))
    offset, after = query.place()
    listed = await shim.clock.aside(partial(shim.store.batches.page, project, query.limit, offset, after))
    return BatchList.of(listed, query.limit, to_8080=is_from_8080(request))


@router.get("/batches/{batch_id}", summary="Describe a batch")
async def retrieve_batch(request: Request, shim: TheShim, batch_id: str) -> BatchObject:
    return BatchObject.of(await _found(request, shim, batch_id), to_8080=is_from_8080(request))


@router.post("/batches/{batch_id}/cancel", summary="Cancel a batch")
@router.delete("/batches/{batch_id}", summary="Cancel a batch (8080's)", operation_id="delete_batch")
async def cancel_batch(request: Request, shim: TheShim, runner: TheRunner, batch_id: str) -> BatchObject:
    """What is under way ends, what has not begun never does; what there is by then is in its files."""
    batch = await cancelled(runner, await _found(request, shim, batch_id))
    return BatchObject.of(batch, to_8080=is_from_8080(request))


async def cancelled(runner: BatchRunner, found: StoredBatch) -> StoredBatch:
    """As it is then. Raises ApiError where it cannot be any more."""
    try:
        batch = await runner.cancel(found)
    except StorageFullError:
        raise no_room() from None
    if batch.status != "cancelling" and not (batch.status == "cancelled" and found.status != "cancelled"):
        message = f"Cannot cancel a batch with status '{batch.status}'."
        raise ApiError(HTTPStatus.CONFLICT, message, code="batch_not_cancellable")
    return batch


async def _input_file(shim: Shim, caller: Caller, file_id: str) -> StoredFile:
    """Raises ApiError."""
    now_s = shim.clock.unix_s()
    file = await shim.clock.aside(partial(shim.store.files.get, caller.project, file_id, now_s))
    if file is None:
        raise _no_such_input(file_id)
    if file.purpose != "batch":
        message = f"The purpose of the input file has to be 'batch', not '{file.purpose}'."
        raise bad_value("input_file_id", message, "invalid_file_purpose")
    if file.size_bytes > MOST_INPUT_BYTES:
        message = f"The input file has {file.size_bytes:,} bytes: at most {MOST_INPUT_BYTES:,} are taken."
        raise ApiError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message, param="input_file_id", code="file_too_large"
        )
    return file


def _new(shim: Shim, caller: Caller, body: CreateBatchBody) -> NewBatch:
    """Times are the client's: at twice the speed a simulated day lasts twelve of its hours."""
    now_s, lasting = shim.clock.unix_s(), body.output_expires_after
    return NewBatch(
        project=caller.project,
        key=caller.key,
        tenant=caller.tenant,
        source=caller.source,
        endpoint=body.endpoint,
        metadata=None if body.metadata is None else METADATA.dump_json(body.metadata).decode(),
        outputs_last_s=None if lasting is None else lasting.seconds,
        created_s=int(now_s),
        expires_s=int(now_s + WINDOW_S / shim.clock.speed),
    )


async def _found(request: Request, shim: Shim, batch_id: str) -> StoredBatch:
    return await batch_of(shim, request.state.caller.project, batch_id)


async def batch_of(shim: Shim, project: str | None, batch_id: str) -> StoredBatch:
    """Raises ApiError 404."""
    batch = await shim.clock.aside(partial(shim.store.batches.get, project, batch_id))
    if batch is None:
        message = f"No such Batch object: {batch_id[:LONGEST_ECHO]}"
        raise ApiError(HTTPStatus.NOT_FOUND, message, param="id", code="batch_not_found")
    return batch


def _no_such_input(file_id: str) -> ApiError:
    message = f"No such File object: {file_id[:LONGEST_ECHO]}"
    return bad_value("input_file_id", message, "file_not_found")


def _too_many() -> ApiError:
    message = f"{MOST_UNFINISHED} batches of the project are not over: wait for one of them, or cancel it."
    return ApiError(
        HTTPStatus.TOO_MANY_REQUESTS, message, code="too_many_batches", headers={"x-should-retry": "false"}
    )
