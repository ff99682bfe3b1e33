"""What becomes of a request that the model did not answer: the error that its client gets."""

from http import HTTPStatus
from typing import NamedTuple

from api_shim.exchange.call import Call
from api_shim.exchange.stamps import client_ms, duration, limit_headers, retry_headers, stamp_headers
from api_shim.wire.errors import SERVER, ApiError
from sim.platform.rate_limit import Refusal

TEXT = {
    "requests": ("requests per min (RPM)", "requests"),
    "tokens": ("tokens per min (TPM)", "tokens"),
    "input_tokens": ("input tokens per min (ITPM)", "tokens"),
    "output_tokens": ("output tokens per min (OTPM)", "tokens"),
    "uncached_tokens": ("uncached tokens per min", "tokens"),
}


class Dropped(NamedTuple):
    status: HTTPStatus
    reason: str
    text: str


BUSY = {
    "max_num_queued_reqs": "requests that wait or run:",
    "max_num_queued_tokens": "prompt tokens before a first answer:",
}
DROPPED = {
    "saturated": Dropped(
        HTTPStatus.TOO_MANY_REQUESTS, "rejected-saturated", "is saturated, and so is its queue"
    ),
    "ttl_expired": Dropped(
        HTTPStatus.TOO_MANY_REQUESTS,
        "rejected-ttl-expired",
        "was saturated for as long as a request may wait in its queue",
    ),
    "no_endpoints": Dropped(
        HTTPStatus.SERVICE_UNAVAILABLE, "rejected-no-endpoints", "has no node that takes requests"
    ),
}
DROPPED_HEADER = "x-llm-d-request-dropped-reason"
REASON_HEADER = "x-sim-refused-by"
"""On each refusal: the limit that did it, as in the record's outcome."""


def refusal_of(call: Call, model: str, param: str, lateness_ps: int) -> ApiError:
    """`param` is where the prompt stands in the body."""
    refusal = call.refusal
    if refusal is None:
        return _lost(call, lateness_ps)
    if refusal.cause == "context":
        error = _context(call, refusal, param)
    elif refusal.cause in TEXT:
        error = _limit(call, refusal, model)
    elif refusal.cause in DROPPED:
        error = _dropped(refusal, model)
    else:
        error = _no_place(refusal, model)
    error.headers |= limit_headers(call.headroom, call.clock.speed)
    error.headers |= _stamps(call, lateness_ps)
    error.headers[REASON_HEADER] = refusal.cause
    return error


def _context(call: Call, refusal: Refusal, param: str) -> ApiError:
    prompt = call.request.prompt_tokens
    return ApiError(
        HTTPStatus.BAD_REQUEST,
        f"This model's maximum context length is {refusal.limit} tokens. However, you requested "
        f"{refusal.requested} tokens ({prompt} in the {param}, {refusal.requested - prompt} in the "
        f"completion). Please reduce the length of the {param} or completion.",
        param=param,
        code="context_length_exceeded",
    )


def _limit(call: Call, refusal: Refusal, model: str) -> ApiError:
    what, type_ = TEXT[refusal.cause]
    of = f"for {model} in project {call.request.project} on {what}"
    numbers = f"Limit {refusal.limit}, "
    if refusal.retry_after_ps is None:
        message = f"Request too large {of}: {numbers}Requested {refusal.requested}."
    else:
        wait = duration(max(1, client_ms(refusal.retry_after_ps, call.clock.speed)))
        message = (
            f"Rate limit reached {of}: {numbers}Used {refusal.used}, Requested {refusal.requested}. "
            f"Please try again in {wait}."
        )
    return ApiError(
        HTTPStatus.TOO_MANY_REQUESTS,
        message,
        type=type_,
        code="rate_limit_exceeded",
        headers=retry_headers(refusal.retry_after_ps, call.clock.speed),
    )


def _dropped(refusal: Refusal, model: str) -> ApiError:
    """With the header of llm-d: 429 where others were served instead, 503 where nobody is."""
    dropped = DROPPED[refusal.cause]
    none = dropped.status == HTTPStatus.SERVICE_UNAVAILABLE
    return ApiError(
        dropped.status,
        f"{model} {dropped.text}.",
        type=SERVER if none else "rate_limit_error",
        code="server_overloaded" if none else dropped.reason,
        headers={DROPPED_HEADER: dropped.reason},
    )


def _no_place(refusal: Refusal, model: str) -> ApiError:
    """As vLLM says it, and with its status: another try may find the queue shorter."""
    return ApiError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        f"A node of {model} is too busy: {BUSY[refusal.cause]} {refusal.used}, and {refusal.cause} is "
        f"{refusal.limit}. Please try again later.",
        type=SERVER,
        code="server_overloaded",
    )


def _lost(call: Call, lateness_ps: int) -> ApiError:
    """The node died, or the way to it; another try may find another."""
    return ApiError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        f"The request was lost inside the platform ({call.reason}).",
        type=SERVER,
        headers=_stamps(call, lateness_ps),
    )


def _stamps(call: Call, lateness_ps: int) -> dict[str, str]:
    return {name.decode(): value.decode("latin-1") for name, value in stamp_headers(call, lateness_ps)}
