"""What an answer comes to, and that it is durable before anybody is told of it."""

import sqlite3
from typing import Any

from api_shim.exchange.chunk_writer import TOKENS_AT_ONCE, as_json
from api_shim.exchange.exchange import Exchange
from api_shim.exchange.response_object import answered, output_items
from api_shim.exchange.stamps import usage
from api_shim.routes.responses.understanding import UnderstoodResponse
from api_shim.shim import Shim
from api_shim.store.conversations import ItemRow
from api_shim.store.database import Write
from api_shim.store.full_disk import StorageFullError
from api_shim.store.responses import StoredResponse
from api_shim.wire.errors import no_room

Json = dict[str, Any]


def outcome(exchange: Exchange, understood: UnderstoodResponse, head: Json) -> Json:
    """Of an exchange that was answered."""
    plan, call = exchange.plan, exchange.call
    return answered(
        head,
        output_items(plan, understood.form),
        cut=plan.finish_reason == "length",
        usage=usage(call, plan.reasoning_tokens),
        completed_s=int(call.clock.unix_s()),
    )


async def encoded(shim: Shim, response: Json) -> str:
    usage_ = response["usage"] or {"output_tokens": 0}
    if usage_["output_tokens"] <= TOKENS_AT_ONCE:
        return as_json(response)
    return await shim.clock.aside(lambda: as_json(response))


async def keep(understood: UnderstoodResponse, response: Json, text: str) -> None:
    """A response that nobody has been told of: `text` is its JSON. Raises ApiError where the disk is full."""
    shim, body = understood.shim, understood.body
    if not body.stored and body.conversation is None:
        return
    row = None
    if body.stored:
        row = StoredResponse(
            understood.id,
            understood.origin.project,
            response["created_at"],
            body.previous_response_id,
            text,
            as_json(understood.shown_items()),
        )

    def write(connection: sqlite3.Connection) -> None:
        if row is not None:
            shim.store.responses.add(connection, row)
        remember(connection, understood, response)

    if understood.origin.along is not None:
        understood.origin.along.append(write)
    else:
        # Thousands a second may come: waiting for the disk itself would take longer than many an answer.
        await written(shim, write, synced=False)


async def written(shim: Shim, write: Write, *, synced: bool = True) -> None:
    """Durable when this returns. Raises ApiError where the disk is full."""
    try:
        await shim.writes.write(write, synced=synced)
    except StorageFullError:
        raise no_room() from None


def remember(connection: sqlite3.Connection, understood: UnderstoodResponse, response: Json) -> None:
    """A conversation goes on with what was asked and what was answered, if it was."""
    conversation = understood.body.conversation
    if conversation is not None and response["status"] in {"completed", "incomplete"}:
        said = [*understood.shown_items(), *response["output"]]
        rows = [ItemRow(item["id"], as_json(item)) for item in said]
        understood.shim.store.conversations.append(
            connection, understood.origin.project, conversation.id, rows
        )
