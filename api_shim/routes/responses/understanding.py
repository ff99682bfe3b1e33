"""The body of `POST /v1/responses` as a request to the model: a chat with a memory.

Tools, forms, reasoning, lengths and prompts are the chat endpoint's own business; here is only what differs.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from api_shim.content.chat_template import template_of
from api_shim.content.reasoning import effort_of
from api_shim.exchange.asker import Asker
from api_shim.exchange.response_object import OutputForm, for_8080, response_head
from api_shim.generating import BodyOrigin, CountedPrompt
from api_shim.routes.chat import SchemaPlaces, Understood, chat_prompts, meaning_of
from api_shim.routes.responses.remembered import (
    NOTHING,
    Remembered,
    latest,
    needs_the_store,
    remembered,
    resolved,
)
from api_shim.routes.responses.templates import rendered
from api_shim.shim import ServedModel, Shim
from api_shim.wire.body import parse
from api_shim.wire.chat_body import Message
from api_shim.wire.errors import bad_value
from api_shim.wire.responses.body import ResponseBody
from api_shim.wire.responses.items import MOST_ITEMS, ItemIds, StoredItem, messages_of, text_message, with_ids

Json = dict[str, Any]
PLACES = SchemaPlaces("tools[{index}].parameters", "text.format.schema", "text.format")
OUTPUT_ROOM_TOKENS = 512
"""What `truncation: auto` leaves for an answer without a cap (assumed)."""


class UnderstoodResponse(NamedTuple):
    shim: Shim
    id: str
    origin: BodyOrigin
    body: ResponseBody
    chat: Understood
    """What the model is asked."""
    items: list[StoredItem]
    """That came in with the request."""
    raw: bytes
    """The body as it came."""

    @property
    def model(self) -> ServedModel:
        return self.chat.model

    @property
    def form(self) -> OutputForm:
        body = self.body
        logprobs = (body.top_logprobs or 0) if body.with_logprobs else None
        return OutputForm(ItemIds(self.id, "o"), logprobs, body.seals_reasoning)

    def shown_items(self) -> list[Json]:
        return with_ids(self.items, ItemIds(self.id, "i"))

    def shown(self, response: Json) -> Json:
        return for_8080(response) if self.origin.from_8080 else response

    def head(self, created_s: int) -> Json:
        body, model = self.body, self.model
        effort = effort_of(model.spec.llm, self.chat.body.reasoning_effort)
        return response_head(body, id_=self.id, model=model.id, created_s=created_s, effort=effort)


async def understand(shim: Shim, origin: BodyOrigin, raw: bytes) -> UnderstoodResponse:
    """Raises ApiError."""
    body = await shim.apart(len(raw), partial(_body, shim, raw))
    memory = NOTHING
    if needs_the_store(body):
        memory = await shim.clock.aside(partial(remembered, shim.store, origin.project, body))
    return await shim.apart(len(raw) + memory.size_bytes, partial(_meaning, shim, origin, raw, body, memory))


def _body(shim: Shim, raw: bytes) -> ResponseBody:
    return rendered(parse(ResponseBody, raw), shim.world.scenario)


def _meaning(
    shim: Shim, origin: BodyOrigin, raw: bytes, body: ResponseBody, memory: Remembered
) -> UnderstoodResponse:
    if body.background and origin.in_batch:
        raise bad_value("background", "A batch is in the background itself: leave 'background' out.")
    if body.model is None:
        raise bad_value("model", "Missing required parameter: 'model'.", "missing_required_parameter")
    items = resolved(body.input or (), memory)
    everything = [*memory.items, *items]
    if len(everything) > MOST_ITEMS and body.truncation != "auto":
        message = f"With those said before there are {len(everything):,} items: {MOST_ITEMS:,} are taken."
        raise bad_value("input", message, "array_above_max_length")
    everything = latest(everything) if body.truncation == "auto" else everything
    messages = messages_of(everything, len(everything) - len(items))
    if not messages:
        raise bad_value("input", "Missing required parameter: 'input'.", "missing_required_parameter")
    if body.instructions:
        messages.insert(0, text_message("system", body.instructions))
    chat = meaning_of(shim, body.as_chat(body.model, messages), PLACES)
    if body.truncation == "auto":
        chat = _fitting(chat, kept=bool(body.instructions))
    return UnderstoodResponse(shim, shim.new_id("resp_"), origin, body, chat, items, raw)


def _fitting(chat: Understood, *, kept: bool) -> Understood:
    """Without the oldest messages, as far as the context is too small for them. The last one stays.

    `kept`: the first one are the instructions, which stay too.
    """
    model, messages = chat.model, list(chat.body.messages)
    room = model.spec.context_tokens - (chat.body.max_completion_tokens or OUTPUT_ROOM_TOKENS)
    tokens, first = chat.prompt_tokens, int(kept)
    while tokens > room and len(messages) > first + 1:
        tokens -= _tokens(model, messages.pop(first))
        while messages[first].role == "tool" and len(messages) > first + 1:  # its call is gone
            tokens -= _tokens(model, messages.pop(first))
    if len(messages) == len(chat.body.messages):
        return chat
    body = chat.body.model_copy(update={"messages": messages})
    said = tuple((message.role, message.text) for message in messages)
    return chat._replace(body=body, prompt_tokens=tokens, messages=said)


def _tokens(model: ServedModel, message: Message) -> int:
    counted = sum(model.vocabulary.count(text) for text in message.written())
    return counted + template_of(model.spec.llm).per_message


def prompts(shim: Shim, asker: Asker, understood: UnderstoodResponse) -> Iterator[CountedPrompt]:
    """What holds for chats, and `max_tool_calls`."""
    (prompt,) = chat_prompts(shim, asker, understood.chat)
    ask = prompt.ask
    bounds = [most for most in (ask.most_calls, understood.body.max_tool_calls) if most is not None]
    yield prompt._replace(ask=replace(ask, most_calls=min(bounds, default=None)))
