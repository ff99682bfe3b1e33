"""Responses that are kept, or still made in the background: read, told again, cancelled, deleted."""

import asyncio
import json
from collections.abc import AsyncGenerator
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from api_shim.exchange.chunk_writer import as_json
from api_shim.exchange.event_stream import STREAM_HEADERS
from api_shim.routes.common import stream_options
from api_shim.routes.described import TheShim, api_router, checked_query, query_parameters
from api_shim.routes.responses.background import Job, background_of, events_again
from api_shim.routes.responses.keeping import written
from api_shim.routes.responses.remembered import items_of
from api_shim.shim import Shim
from api_shim.store.responses import StoredResponse
from api_shim.wire.errors import LONGEST_ECHO, ApiError, bad_value
from api_shim.wire.responses.lists import ItemList, ItemQuery
from api_shim.wire.responses.objects import ResponseDeleted, ResponseObject

Json = dict[str, Any]
IN_BACKGROUND = "Only responses that were made with 'background' can be {what}."

router = api_router("responses", prefix="/v1")


@router.get(
    "/responses/{response_id}",
    summary="Read a response, or its events",
    response_model=ResponseObject,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def retrieve_response(
    request: Request,
    shim: TheShim,
    response_id: str,
    stream: Annotated[bool, Query(description="the events of a background response")] = False,
    starting_after: Annotated[
        int | None, Query(ge=0, description="the number of the last event that the client has")
    ] = None,
) -> Response:
    form = stream_options(request)
    found = await _found(request, shim, response_id)
    if not stream:
        if starting_after is not None:
            raise bad_value("starting_after", "'starting_after' is for 'stream=true'.")
        return _json(as_json(found.now) if isinstance(found, Job) else found.response)
    after = -1 if starting_after is None else starting_after
    if isinstance(found, Job):
        return found.stream(after=after, stamps=form.stamps)
    if not json.loads(found.response)["background"]:
        raise bad_value("stream", IN_BACKGROUND.format(what="streamed again"))
    return StreamingResponse(_told(found, after), media_type="text/event-stream", headers=STREAM_HEADERS)


@router.delete("/responses/{response_id}", summary="Delete a response")
async def delete_response(request: Request, shim: TheShim, response_id: str) -> ResponseDeleted:
    """One that is still made is cancelled first."""
    found = await _found(request, shim, response_id)
    if isinstance(found, Job):
        await found.cancel()
    project = request.state.caller.project
    await written(shim, lambda connection: shim.store.responses.remove(connection, project, response_id))
    return ResponseDeleted(id=response_id)


@router.post(
    "/responses/{response_id}/cancel",
    summary="Cancel a background response",
    response_model=ResponseObject,
)
async def cancel_response(request: Request, shim: TheShim, response_id: str) -> Response:
    """One that is over stays what it is."""
    found = await _found(request, shim, response_id)
    if isinstance(found, Job):
        return _json(as_json(await found.cancel()))
    if not json.loads(found.response)["background"]:
        raise bad_value("response_id", IN_BACKGROUND.format(what="cancelled"))
    return _json(found.response)


@router.get(
    "/responses/{response_id}/input_items",
    summary="List what a response was asked, earlier turns included",
    openapi_extra={"parameters": query_parameters(ItemQuery)},
)
async def list_input_items(request: Request, shim: TheShim, response_id: str) -> ItemList:
    query, project = checked_query(ItemQuery, request), request.state.caller.project
    items = await shim.clock.aside(partial(_input_items, shim, project, response_id))
    return ItemList.page(items, query)


def _input_items(shim: Shim, project: str, response_id: str) -> list[Json]:
    """Raises ApiError."""
    turns = shim.store.responses.chain(project, response_id)
    if not turns:
        raise _no_such_response(response_id)
    *earlier, last = turns
    texts = [text for turn in earlier for text in items_of(turn)]
    return [item for text in [*texts, last.items] for item in json.loads(text)]


async def _found(request: Request, shim: Shim, response_id: str) -> Job | StoredResponse:
    """Raises ApiError."""
    project = request.state.caller.project
    job = background_of(request).job(response_id)
    if job is not None and job.understood.origin.project == project:
        return job
    row = await shim.clock.aside(partial(shim.store.responses.get, project, response_id))
    if row is None:
        raise _no_such_response(response_id)
    return row


async def _told(row: StoredResponse, after: int) -> AsyncGenerator[bytes]:
    for chunk in events_again(row, after):
        yield chunk
        await asyncio.sleep(0)


def _json(text: str) -> Response:
    return Response(text, media_type=JSONResponse.media_type)


def _no_such_response(response_id: str) -> ApiError:
    message = f"Response with id '{response_id[:LONGEST_ECHO]}' not found."
    return ApiError(HTTPStatus.NOT_FOUND, message, param="response_id", code="response_not_found")
