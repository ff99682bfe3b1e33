"""`POST /v1/completions`."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from api_shim.exchange import ClientGoneError, Exchange
from api_shim.routes.common import (
    StreamOptions,
    answer_headers,
    ask_of,
    envelope,
    event_stream,
    nobody_there,
    running_usage,
    shim_of,
    stream_options,
)
from api_shim.shim import ServedModel
from api_shim.wire.body import read
from api_shim.wire.chunk_writer import CompletionWriter, text_logprobs
from api_shim.wire.completions_body import CompletionsBody, Prompt
from api_shim.wire.errors import bad_value
from api_shim.wire.stamps import added_usage, usage

Json = dict[str, Any]


async def create_completion(request: Request) -> Response:
    shim, asked = shim_of(request), stream_options(request)
    body = await read(request, CompletionsBody, shim.settings.body_limit_bytes)
    model = shim.model(body.model)
    texts = [_text(model, prompt) for prompt in body.prompt]
    exchanges: list[Exchange] = []
    try:
        for prompt, text in zip(body.prompt, texts, strict=True):
            exchanges.append(await _open(request, body, model, prompt, text))
        if body.stream:
            await exchanges[0].until_begun("prompt")
            return _stream(exchanges[0], body, texts[0], asked)
        for exchange in exchanges:
            await exchange.until_over("prompt")
        answer: Response = JSONResponse(
            _completion(exchanges, body, texts), headers=answer_headers(exchanges[-1])
        )
    except ClientGoneError:
        answer = nobody_there()
    except BaseException:
        _close(exchanges)
        raise
    _close(exchanges)
    return answer


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


async def _open(
    request: Request, body: CompletionsBody, model: ServedModel, prompt: Prompt, text: str
) -> Exchange:
    """An empty prompt still has the token that begins every text."""
    tokens = max(1, model.vocabulary.count(prompt) if isinstance(prompt, str) else len(prompt))
    ask = ask_of(request, body, model, (("user", text),), tokens, body.cap)
    return await shim_of(request).open(request, model, ask, tokens, stream=bool(body.stream))


def _stream(exchange: Exchange, body: CompletionsBody, prompt: str, asked: StreamOptions) -> Response:
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


def _completion(exchanges: list[Exchange], body: CompletionsBody, prompts: list[str]) -> Json:
    first = exchanges[0]
    choices: list[Json] = []
    for exchange, prompt in zip(exchanges, prompts, strict=True):
        for pieces in exchange.plan.choices:
            choices.append(
                {
                    "index": len(choices),
                    "text": (prompt if body.echo else "") + "".join(pieces),
                    "logprobs": None if body.logprobs is None else text_logprobs(body.logprobs)(pieces, 0),
                    "finish_reason": exchange.plan.finish_reason,
                }
            )
    return {
        **envelope(first, "cmpl-", "text_completion"),
        "choices": choices,
        "usage": added_usage([usage(exchange.call) for exchange in exchanges]),
    }


ROUTES = [Route("/v1/completions", create_completion, methods=["POST"])]
