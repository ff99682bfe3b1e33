"""`/v1/conversations`: what responses go on with, and add to, where they name it."""

import json
from functools import partial
from http import HTTPStatus
from typing import Any

from starlette.requests import Request

from api_shim.exchange.chunk_writer import as_json
from api_shim.routes.described import TheShim, api_router, checked_query, query_parameters
from api_shim.routes.responses.keeping import written
from api_shim.routes.responses.remembered import no_such_conversation
from api_shim.shim import Shim
from api_shim.store.conversations import MOST_KEPT_ITEMS, ItemRow, StoredConversation
from api_shim.wire.errors import LONGEST_ECHO, ApiError
from api_shim.wire.responses.items import ItemIds, StoredItem, with_ids
from api_shim.wire.responses.lists import (
    ConversationChange,
    ConversationDeleted,
    ConversationObject,
    ItemList,
    ItemQuery,
    NewConversation,
    NewItems,
)

Json = dict[str, Any]
BODY_BYTES = 4 * 2**20
PATH = "/conversations/{conversation_id}"

router = api_router("conversations", prefix="/v1")


@router.post("/conversations", summary="Begin a conversation", max_body_size=BODY_BYTES)
async def create_conversation(
    request: Request, shim: TheShim, body: NewConversation | None = None
) -> ConversationObject:
    body = body or NewConversation()
    conversation = StoredConversation(
        shim.new_id("conv_"),
        request.state.caller.project,
        int(shim.clock.unix_s()),
        as_json(body.metadata or {}),
    )
    rows = _rows(shim, body.items or [])
    await written(shim, lambda connection: shim.store.conversations.add(connection, conversation, rows))
    return _shown(conversation)


@router.get(PATH, summary="Describe a conversation")
async def retrieve_conversation(request: Request, shim: TheShim, conversation_id: str) -> ConversationObject:
    return _shown(await _found(request, shim, conversation_id))


@router.post(PATH, summary="Change the metadata of a conversation", max_body_size=BODY_BYTES)
async def update_conversation(
    request: Request, shim: TheShim, conversation_id: str, body: ConversationChange
) -> ConversationObject:
    found = await _found(request, shim, conversation_id)
    metadata = as_json(body.metadata or {})
    await written(
        shim,
        lambda connection: shim.store.conversations.update(connection, found.project, found.id, metadata),
    )
    return _shown(await _found(request, shim, conversation_id))


@router.delete(PATH, summary="Delete a conversation with its items")
async def delete_conversation(request: Request, shim: TheShim, conversation_id: str) -> ConversationDeleted:
    found = await _found(request, shim, conversation_id)
    await written(
        shim, lambda connection: shim.store.conversations.remove(connection, found.project, found.id)
    )
    return ConversationDeleted(id=found.id)


@router.get(
    f"{PATH}/items",
    summary="List the items of a conversation",
    openapi_extra={"parameters": query_parameters(ItemQuery)},
)
async def list_conversation_items(request: Request, shim: TheShim, conversation_id: str) -> ItemList:
    query, found = checked_query(ItemQuery, request), await _found(request, shim, conversation_id)
    rows = await shim.clock.aside(
        partial(shim.store.conversations.items, found.project, found.id, MOST_KEPT_ITEMS)
    )
    return ItemList.page([json.loads(row.item) for row in rows], query)


@router.post(f"{PATH}/items", summary="Add items to a conversation", max_body_size=BODY_BYTES)
async def create_conversation_items(
    request: Request, shim: TheShim, conversation_id: str, body: NewItems
) -> ItemList:
    found = await _found(request, shim, conversation_id)
    rows = _rows(shim, body.items)
    await written(
        shim, lambda connection: shim.store.conversations.append(connection, found.project, found.id, rows)
    )
    return ItemList.whole([json.loads(row.item) for row in rows])


@router.get(f"{PATH}/items/{{item_id}}", summary="Read an item of a conversation")
async def retrieve_conversation_item(
    request: Request, shim: TheShim, conversation_id: str, item_id: str
) -> Json:
    found = await _found(request, shim, conversation_id)
    item: Json = json.loads((await _item(shim, found, item_id)).item)
    return item


@router.delete(f"{PATH}/items/{{item_id}}", summary="Delete an item of a conversation")
async def delete_conversation_item(
    request: Request, shim: TheShim, conversation_id: str, item_id: str
) -> ConversationObject:
    found = await _found(request, shim, conversation_id)
    await _item(shim, found, item_id)
    await written(
        shim,
        lambda connection: shim.store.conversations.remove_item(connection, found.project, found.id, item_id),
    )
    return _shown(found)


def _rows(shim: Shim, items: list[StoredItem]) -> list[ItemRow]:
    """Their ids follow from one that is given to no conversation and to no response."""
    shown = with_ids(items, ItemIds(shim.new_id("items_"), "i"))
    return [ItemRow(item["id"], as_json(item)) for item in shown]


async def _found(request: Request, shim: Shim, conversation_id: str) -> StoredConversation:
    """Raises ApiError."""
    project = request.state.caller.project
    found = await shim.clock.aside(partial(shim.store.conversations.get, project, conversation_id))
    if found is None:
        raise no_such_conversation(conversation_id)
    return found


async def _item(shim: Shim, conversation: StoredConversation, item_id: str) -> ItemRow:
    """Raises ApiError."""
    find = partial(shim.store.conversations.item, conversation.project, conversation.id, item_id)
    row = await shim.clock.aside(find)
    if row is None:
        message = f"Item with id '{item_id[:LONGEST_ECHO]}' not found in the conversation."
        raise ApiError(HTTPStatus.NOT_FOUND, message, param="item_id", code="item_not_found")
    return row


def _shown(conversation: StoredConversation) -> ConversationObject:
    return ConversationObject(
        id=conversation.id,
        created_at=conversation.created_s,
        metadata=json.loads(conversation.metadata),
    )
