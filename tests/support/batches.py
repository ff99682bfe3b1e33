"""What a client of batches does, over the wire and in virtual time."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from tests.support.forms import FORM, upload
from tests.support.live import Reply, Wire, chat

CHAT = "/v1/chat/completions"
OVER = {"completed", "failed", "expired", "cancelled"}
Json = dict[str, Any]


def line(custom_id: str = "a", body: Json | None = None, **fields: Any) -> Json:
    """A request for one token, unless `body` says otherwise: 11 ms on an idle node of `live.scenario`."""
    asked = chat(max_tokens=1) if body is None else body
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": asked} | fields


def lines(many: Iterable[Json]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in many)


def requests(count: int, **fields: Any) -> list[Json]:
    return [line(f"r{number}", chat(**{"max_tokens": 1} | fields)) for number in range(count)]


def put(wire: Wire, content: bytes, **fields: str) -> str:
    reply = wire.ask("/v1/files", upload(content, "in.jsonl", **fields), headers=FORM)
    assert reply.status == 200, reply.body
    id_: str = reply.json["id"]
    return id_


def create(wire: Wire, content: bytes | list[Json], **fields: Any) -> Reply:
    raw = content if isinstance(content, bytes) else lines(content)
    body = {"input_file_id": put(wire, raw), "endpoint": CHAT, "completion_window": "24h"} | fields
    return wire.ask("/v1/batches", body)


def run(wire: Wire, content: bytes | list[Json], **fields: Any) -> Json:
    """The batch, when it is over."""
    made = create(wire, content, **fields)
    assert made.status == 200, made.body
    assert made.json["status"] == "validating"
    return until_over(wire, made.json["id"])


def until_over(wire: Wire, id_: str, look_s: float = 0.05) -> Json:
    async def story() -> Json:
        while True:
            reply = await wire.send(f"/v1/batches/{id_}")
            batch: Json = reply.json
            if batch["status"] in OVER:
                return batch
            await asyncio.sleep(look_s)

    return wire.platform.run(story())


def contents(wire: Wire, file_id: str | None) -> list[Json]:
    if file_id is None:
        return []
    reply = wire.ask(f"/v1/files/{file_id}/content")
    assert reply.status == 200
    return [json.loads(each) for each in reply.body.splitlines()]
