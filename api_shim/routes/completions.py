"""`POST /v1/completions`."""

from collections.abc import Iterator
from functools import partial
from itertools import count
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from api_shim.content.prompt_tokens import TokenIds
from api_shim.exchange.asker import Asker
from api_shim.exchange.chunk_writer import CompletionWriter, as_json, text_logprobs
from api_shim.exchange.exchange import Exchange
from api_shim.exchange.stamps import added_usage, usage
from api_shim.generating import CountedPrompt, Generating, from_body_alone
from api_shim.routes.common import (
    ANSWER_HEADERS,
    Encode,
    StreamForm,
    ask_of,
    envelope,
    event_stream,
    in_one_go,
    json_text,
    respond,
    running_usage,
)
from api_shim.routes.described import add_generating, api_router
from api_shim.shim import ServedModel, Shim
from api_shim.wire.answers import Completion, CompletionChunk
from api_shim.wire.body import parse
from api_shim.wire.completions_body import CompletionsBody, Prompt
from api_shim.wire.errors import bad_value

Json = dict[str, Any]


async def create_completion(request: Request) -> Response:
    return await respond(request, COMPLETIONS, _stream)


class UnderstoodCompletions(NamedTuple):
    body: CompletionsBody
    model: ServedModel
    texts: list[str]
    """Of the prompts."""
    tokens: list[int]


def _understood(shim: Shim, raw: bytes) -> UnderstoodCompletions:
    """Raises ApiError."""
    body = parse(CompletionsBody, raw)
    model = shim.model(body.model)
    texts = [_text(model, prompt) for prompt in body.prompt]
    return UnderstoodCompletions(body, model, texts, [_tokens(model, prompt) for prompt in body.prompt])


def _prompts(shim: Shim, asker: Asker, understood: UnderstoodCompletions) -> Iterator[CountedPrompt]:
    body = understood.body
    model = understood.model
    for prompt, text, tokens in zip(body.prompt, understood.texts, understood.tokens, strict=True):
        ask = ask_of(shim, asker, body, model, (("user", text),), tokens, body.cap)
        yield CountedPrompt(ask, tokens, partial(_written, model, prompt))


def _written(model: ServedModel, prompt: Prompt) -> TokenIds:
    return model.vocabulary.encode(prompt) if isinstance(prompt, str) else list(prompt)


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


def _stream(exchanges: list[Exchange], understood: UnderstoodCompletions, asked: StreamForm) -> Response:
    (exchange,), (prompt,), body = exchanges, understood.texts, understood.body
    logprobs = None if body.logprobs is None else text_logprobs(body.logprobs)
    echo = prompt if body.echo else ""
    writer = CompletionWriter(
        envelope(exchange, "cmpl-", "text_completion", as_json),
        logprobs,
        with_usage=body.include_usage,
        running=running_usage(exchange, body),
        echo=echo,
    )
    return event_stream(exchange, writer, body, asked)


async def _answer(exchanges: list[Exchange], understood: UnderstoodCompletions) -> bytes:
    body = understood.body
    choices = partial(_choices, exchanges, body, understood.texts)
    return await json_text(exchanges, _head(exchanges), choices, logprobs=body.logprobs is not None)


def _head(exchanges: list[Exchange]) -> str:
    used = added_usage([usage(exchange.call) for exchange in exchanges])
    return f'{envelope(exchanges[0], "cmpl-", "text_completion", in_one_go)},"usage":{used.json()}'


def _choices(
    exchanges: list[Exchange], body: CompletionsBody, prompts: list[str], encode: Encode
) -> Iterator[str]:
    """Those of the first prompt come first."""
    index = count()
    for exchange, prompt in zip(exchanges, prompts, strict=True):
        for pieces in exchange.plan.choices:
            text = (prompt if body.echo else "") + "".join(pieces)
            logprobs = "null"
            if body.logprobs is not None:
                logprobs = encode(text_logprobs(body.logprobs)(pieces, 0))
            yield (
                f'{{"index":{next(index)},"text":{encode(text)},"logprobs":{logprobs},'
                f'"finish_reason":"{exchange.plan.finish_reason}"}}'
            )


COMPLETIONS = Generating("prompt", from_body_alone(_understood), _prompts, _answer)
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
