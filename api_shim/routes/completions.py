"""`POST /v1/completions`."""

import asyncio
from collections.abc import Iterator
from functools import partial
from itertools import count
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from api_shim.exchange.chunk_writer import CompletionWriter, text_logprobs
from api_shim.exchange.exchange import ClientGoneError, Exchange
from api_shim.exchange.stamps import added_usage, usage
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
from api_shim.wire.answers import Completion, CompletionChunk
from api_shim.wire.body import parse, read
from api_shim.wire.completions_body import CompletionsBody, Prompt
from api_shim.wire.errors import bad_value

Json = dict[str, Any]


async def create_completion(request: Request) -> Response:
    shim, asked = shim_of(request), stream_options(request)
    raw = await read(request, shim.settings.body_limit_bytes)
    body, model, texts, tokens = await shim.apart(len(raw), partial(_understood, shim, raw))
    exchanges: list[Exchange] = []
    try:
        for text, prompt_tokens in zip(texts, tokens, strict=True):
            if exchanges:
                await asyncio.sleep(0)  # with many prompts of many completions, others have their turn
            ask = ask_of(request, body, model, (("user", text),), prompt_tokens, body.cap)
            exchange = await shim.open(
                request,
                model,
                ask,
                prompt_tokens,
                stream=bool(body.stream),
                priority=body.stated_priority,
            )
            exchanges.append(exchange)
        if body.stream:
            await exchanges[0].until_begun("prompt")
            return _stream(exchanges[0], body, texts[0], asked)
        for exchange in exchanges:
            await exchange.until_over("prompt")
        answer: Response = await json_answer(
            exchanges,
            _head(exchanges),
            _choices(exchanges, body, texts),
            logprobs=body.logprobs is not None,
        )
    except ClientGoneError:
        answer = nobody_there()
    except BaseException:
        _close(exchanges)
        raise
    _close(exchanges)
    return answer


class _Understood(NamedTuple):
    body: CompletionsBody
    model: ServedModel
    texts: list[str]
    """Of the prompts."""
    tokens: list[int]


def _understood(shim: Shim, raw: bytes) -> _Understood:
    """Raises ApiError."""
    body = parse(CompletionsBody, raw)
    model = shim.model(body.model)
    texts = [_text(model, prompt) for prompt in body.prompt]
    return _Understood(body, model, texts, [_tokens(model, prompt) for prompt in body.prompt])


def _close(exchanges: list[Exchange]) -> None:
    for exchange in exchanges:
        exchange.close()


def _text(model: ServedModel, prompt: Prompt) -> str:
    if isinstance(prompt, str):
        return prompt
    try:
        return model.vocabulary.decode(prompt)
    except (KeyError, TypeError, OverflowError):
        raise bad_value("prompt", "Invalid value for 'prompt': it holds a number that is no token") from None


def _tokens(model: ServedModel, prompt: Prompt) -> int:
    """An empty prompt still has the token that begins every text."""
    return max(1, model.vocabulary.count(prompt) if isinstance(prompt, str) else len(prompt))


def _stream(exchange: Exchange, body: CompletionsBody, prompt: str, asked: StreamForm) -> Response:
    logprobs = None if body.logprobs is None else text_logprobs(body.logprobs)
    echo = prompt if body.echo else ""
    writer = CompletionWriter(
        envelope(exchange, "cmpl-", "text_completion"),
        logprobs,
        with_usage=body.include_usage,
        running=running_usage(exchange, body),
        echo=echo,
    )
    return event_stream(exchange, writer, body, asked)


def _head(exchanges: list[Exchange]) -> Json:
    return {
        **envelope(exchanges[0], "cmpl-", "text_completion"),
        "usage": added_usage([usage(exchange.call) for exchange in exchanges]),
    }


def _choices(exchanges: list[Exchange], body: CompletionsBody, prompts: list[str]) -> Iterator[Json]:
    """Those of the first prompt come first."""
    index = count()
    for exchange, prompt in zip(exchanges, prompts, strict=True):
        for pieces in exchange.plan.choices:
            yield {
                "index": next(index),
                "text": (prompt if body.echo else "") + "".join(pieces),
                "logprobs": None if body.logprobs is None else text_logprobs(body.logprobs)(pieces, 0),
                "finish_reason": exchange.plan.finish_reason,
            }


router = api_router("completions", prefix="/v1")
add_generating(
    router,
    "/completions",
    create_completion,
    body=CompletionsBody,
    answer=Completion,
    event=CompletionChunk,
    headers=ANSWER_HEADERS,
    summary="Go on with a prompt, without a chat template",
)
