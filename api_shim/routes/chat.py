"""`POST /v1/chat/completions`."""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from api_shim.content.chat_template import template_of
from api_shim.exchange.chunk_writer import ChatWriter, chat_logprobs
from api_shim.exchange.exchange import ClientGoneError, Exchange
from api_shim.exchange.stamps import usage
from api_shim.routes.common import (
    ANSWER_HEADERS,
    StreamForm,
    ask_of,
    envelope,
    event_stream,
    json_answer,
    nobody_there,
    running_usage,
    shim_of,
    stream_options,
)
from api_shim.routes.described import add_generating, api_router
from api_shim.shim import ServedModel, Shim
from api_shim.wire.answers import ChatCompletion, ChatCompletionChunk
from api_shim.wire.body import parse, read
from api_shim.wire.chat_body import ChatBody
from api_shim.wire.errors import bad_value

Json = dict[str, Any]


async def create_chat_completion(request: Request) -> Response:
    shim, asked = shim_of(request), stream_options(request)
    raw = await read(request, shim.settings.body_limit_bytes)
    body, model, prompt_tokens, messages = await shim.apart(len(raw), partial(_understood, shim, raw))
    ask = ask_of(request, body, model, messages, prompt_tokens, body.cap)
    exchange = await shim.open(request, model, ask, prompt_tokens, stream=bool(body.stream))
    try:
        if body.stream:
            await exchange.until_begun("messages")
            return _stream(exchange, body, asked)
        await exchange.until_over("messages")
        answer: Response = await json_answer(
            [exchange], _head(exchange), _choices(exchange, body), logprobs=bool(body.logprobs)
        )
    except ClientGoneError:
        answer = nobody_there()
    except BaseException:
        exchange.close()
        raise
    exchange.close()
    return answer


class _Understood(NamedTuple):
    body: ChatBody
    model: ServedModel
    prompt_tokens: int
    messages: tuple[tuple[str, str], ...]
    """(role, text)"""


def _understood(shim: Shim, raw: bytes) -> _Understood:
    """Raises ApiError."""
    body = parse(ChatBody, raw)
    model = shim.model(body.model)
    _refuse_what_is_not_simulated(body)
    messages = tuple((message.role, message.text) for message in body.messages)
    return _Understood(body, model, count_prompt(model, body), messages)


def count_prompt(model: ServedModel, body: ChatBody) -> int:
    text_tokens = sum(model.vocabulary.count(text) for text in body.prompt_texts())
    return text_tokens + template_of(model.spec.llm).tokens(len(body.messages))


def _refuse_what_is_not_simulated(body: ChatBody) -> None:
    """Text answers only: better a clear refusal than an answer of the wrong shape."""
    if body.response_format is not None and body.response_format.type != "text":
        raise bad_value(
            "response_format.type",
            f"response_format '{body.response_format.type}' is not simulated: only 'text' is",
            "unsupported_value",
        )
    choice = body.tool_choice
    if choice is None or choice in ("none", "auto"):
        return
    if not body.tools:
        raise bad_value("tool_choice", "'tool_choice' is only allowed when 'tools' are specified")
    names = {tool.function.name for tool in body.tools}
    if choice != "required" and not (isinstance(choice, dict) and _function_name(choice) in names):
        raise bad_value("tool_choice", "'tool_choice' is 'none', 'auto', 'required' or a function of 'tools'")
    raise bad_value(
        "tool_choice",
        "tool calls are not simulated: 'tool_choice' can be 'none' or 'auto'",
        "unsupported_value",
    )


def _function_name(choice: Json) -> object:
    function = choice.get("function")
    return function.get("name") if isinstance(function, dict) else None


def _stream(exchange: Exchange, body: ChatBody, asked: StreamForm) -> Response:
    logprobs = chat_logprobs(body.top_logprobs or 0) if body.logprobs else None
    writer = ChatWriter(
        envelope(exchange, "chatcmpl-", "chat.completion.chunk"),
        logprobs,
        with_usage=body.include_usage,
        running=running_usage(exchange, body),
    )
    return event_stream(exchange, writer, body, asked)


def _head(exchange: Exchange) -> Json:
    return {
        **envelope(exchange, "chatcmpl-", "chat.completion"),
        "usage": usage(exchange.call),
        "service_tier": None,
    }


def _choices(exchange: Exchange, body: ChatBody) -> Iterator[Json]:
    entries = chat_logprobs(body.top_logprobs or 0)
    for index, pieces in enumerate(exchange.plan.choices):
        yield {
            "index": index,
            "message": {"role": "assistant", "content": "".join(pieces), "refusal": None},
            "logprobs": entries(pieces, 0) if body.logprobs else None,
            "finish_reason": exchange.plan.finish_reason,
        }


router = api_router("chat", prefix="/v1")
add_generating(
    router,
    "/chat/completions",
    create_chat_completion,
    body=ChatBody,
    answer=ChatCompletion,
    event=ChatCompletionChunk,
    headers=ANSWER_HEADERS,
    summary="Answer a conversation",
)
