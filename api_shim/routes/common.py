"""What the endpoints that generate text share."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from api_shim.content.plan import Ask
from api_shim.exchange import Exchange
from api_shim.shim import OUTPUT_HEADER, ServedModel, Shim
from api_shim.wire.chat_body import Sampling
from api_shim.wire.errors import bad_value
from api_shim.wire.stamps import limit_headers, processing_ms, stamp_headers

Json = dict[str, Any]
CLIENT_CLOSED_REQUEST = 499
"""nginx's; nobody is left to see it."""


def shim_of(request: Request) -> Shim:
    shim: Shim = request.app.state.shim
    return shim


def ask_of(
    request: Request,
    body: Sampling,
    model: ServedModel,
    messages: tuple[tuple[str, str], ...],
    prompt_tokens: int,
    cap: int | None,
) -> Ask:
    shim = shim_of(request)
    seed = shim.seed_of(model, [part for message in messages for part in message], body.seed)
    stated = _stated_output(request)
    natural = shim.lengths.of(request.state.caller, model.name, seed)
    return Ask(
        vocabulary=model.vocabulary,
        model=model.id,
        messages=messages,
        seed=seed,
        natural_tokens=natural if stated is None else lambda: stated,
        room_tokens=max(1, model.spec.context_tokens - prompt_tokens),
        max_tokens=cap,
        min_tokens=body.min_tokens or 0,
        ignore_eos=bool(body.ignore_eos),
        stops=tuple(body.stop or ()),
        samples=body.samples,
    )


def _stated_output(request: Request) -> int | None:
    """Load tools that replay lengths say how long the answer is, without a cap that limits would count."""
    text = request.headers.get(OUTPUT_HEADER)
    if text is None:
        return None
    if not text.isdecimal() or not 1 <= int(text[:9]) <= 10**8:
        raise bad_value(OUTPUT_HEADER, f"{OUTPUT_HEADER} is a whole number of tokens from 1 on, not {text!r}")
    return int(text[:9])


def answer_headers(exchange: Exchange) -> dict[str, str]:
    call = exchange.call
    return {
        "openai-processing-ms": str(processing_ms(call)),
        **limit_headers(call.headroom, call.clock.speed),
        **stamp_headers(call, exchange.lateness_ps),
    }


def nobody_there() -> Response:
    return Response(status_code=CLIENT_CLOSED_REQUEST)


def wants_usage_unasked(request: Request) -> bool:
    """8080's own SDK needs the usage of a stream and cannot ask for it; its user agent is plain httpx's."""
    return request.headers.get("user-agent", "").startswith("python-httpx/")
