"""What the model is given to read beside the input: earlier turns, a conversation, items referred to."""

import json
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import NamedTuple

from api_shim.store.responses import StoredTurn
from api_shim.store.store import Store
from api_shim.wire.errors import LONGEST_ECHO, ApiError, bad_value
from api_shim.wire.responses.body import ResponseBody
from api_shim.wire.responses.items import (
    MOST_ITEMS,
    FunctionCallItem,
    FunctionCallOutputItem,
    InputItem,
    ItemReference,
    StoredItem,
    stored_item,
    stored_items,
)

ITEM_ID = re.compile(r"(?:msg|fc|fco|rs)_([0-9a-f]{20})([io])[0-9a-f]+", re.ASCII)
"""As `ItemIds` makes them: the response's number, and on which side of it the item stands."""


class Remembered(NamedTuple):
    items: tuple[StoredItem, ...]
    referred: dict[str, StoredItem]
    """By id."""
    size_bytes: int
    """As JSON."""


NOTHING = Remembered((), {}, 0)


def needs_the_store(body: ResponseBody) -> bool:
    return (
        body.previous_response_id is not None
        or body.conversation is not None
        or any(isinstance(item, ItemReference) for item in body.input or ())
    )


def remembered(store: Store, project: str, body: ResponseBody) -> Remembered:
    """Raises ApiError."""
    texts: list[str] = []
    if body.previous_response_id is not None:
        texts = _earlier_turns(store, project, body.previous_response_id, cut=body.truncation == "auto")
    elif body.conversation is not None:
        texts = [_conversation(store, project, body.conversation.id)]
    items = [item for text in texts for item in stored_items(text)]
    referred = {
        item.id: _referred(store, project, item.id)
        for item in body.input or ()
        if isinstance(item, ItemReference)
    }
    return Remembered(tuple(items), referred, sum(map(len, texts)))


def resolved(items: Sequence[InputItem], memory: Remembered) -> list[StoredItem]:
    """With what they refer to in their places."""
    return [memory.referred[item.id] if isinstance(item, ItemReference) else item for item in items]


def latest(items: Sequence[StoredItem], most: int = MOST_ITEMS) -> list[StoredItem]:
    """The last of them, without results whose calls are cut off."""
    kept = list(items[-most:])
    called = {item.call_id for item in kept if isinstance(item, FunctionCallItem)}
    return [item for item in kept if not isinstance(item, FunctionCallOutputItem) or item.call_id in called]


def turns_before(store: Store, project: str, id_: str) -> list[StoredTurn]:
    """Those that the response goes on with and itself, as far as they have not been deleted."""
    return store.responses.chain(project, id_)


def items_of(turn: StoredTurn) -> list[str]:
    """What went in and what came out, as JSON."""
    return [turn.items, json.dumps(json.loads(turn.response)["output"])]


def _earlier_turns(store: Store, project: str, id_: str, *, cut: bool) -> list[str]:
    turns = turns_before(store, project, id_)
    if not turns:
        raise _no_previous(id_)
    if not turns[-1].over:
        message = f"Previous response with id '{id_}' is still in progress."
        raise bad_value("previous_response_id", message, "previous_response_in_progress")
    missing = turns[0].previous_id
    if missing is not None and not cut:
        raise _no_previous(missing)
    return [text for turn in turns for text in items_of(turn)]


def _no_previous(id_: str) -> ApiError:
    return bad_value(
        "previous_response_id",
        f"Previous response with id '{id_[:LONGEST_ECHO]}' not found.",
        "previous_response_not_found",
    )


def _conversation(store: Store, project: str, id_: str) -> str:
    if store.conversations.get(project, id_) is None:
        raise no_such_conversation(id_)
    rows = store.conversations.items(project, id_, MOST_ITEMS)
    return f"[{','.join(row.item for row in rows)}]"


def no_such_conversation(id_: str) -> ApiError:
    message = f"Conversation with id '{id_[:LONGEST_ECHO]}' not found."
    return ApiError(HTTPStatus.NOT_FOUND, message, param="conversation", code="conversation_not_found")


def _referred(store: Store, project: str, item_id: str) -> StoredItem:
    found = ITEM_ID.fullmatch(item_id)
    texts: list[str] = []
    if found is not None:
        turn = store.responses.get(project, f"resp_{found[1]}")
        if turn is not None:
            texts = [turn.items] if found[2] == "i" else [json.dumps(json.loads(turn.response)["output"])]
    for text in texts:
        for item in stored_items(text):
            if item.id == item_id:
                return item
    row = store.conversations.find_item(project, item_id)
    if row is not None:
        return stored_item(row.item)
    message = f"Item with id '{item_id[:LONGEST_ECHO]}' not found: it may not have been stored."
    raise ApiError(HTTPStatus.NOT_FOUND, message, param="input", code="item_not_found")
