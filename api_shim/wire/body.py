"""Request bodies: bytes in, a checked model or a 400 that names the parameter out."""

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import ClientDisconnect, Request

from api_shim.wire.errors import ApiError
from api_shim.wire.said import Said

MEBIBYTE = 2**20
MOST_BRACKETS, MOST_STRINGS, MOST_COMMAS = 40_000, 60_000, 400_000
"""Each makes objects for some 20 ms in one go, during which nobody else is served."""


SERVED = "x-served"
"""In a schema: that its values are names of what the server serves, `models` or `places`."""


class Body(BaseModel):
    """Unknown fields are ignored, and null means absent: every optional field takes it."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


AnyBody = TypeVar("AnyBody", bound=Body)


async def read(request: Request, limit_bytes: int) -> bytes:
    """Raises ApiError 413 as soon as there is too much of it."""
    said: Said = request.scope["state"]["said"]
    announced = said.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit_bytes:
        raise _too_large(limit_bytes)
    chunks: list[bytes] = []
    size, more = 0, True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        size, more = size + len(chunk), message.get("more_body", False)
        if size > limit_bytes:
            raise _too_large(limit_bytes)
        chunks.append(chunk)
    return b"".join(chunks) if len(chunks) > 1 else chunks[0]


def parse(kind: type[AnyBody], body: bytes) -> AnyBody:
    """Raises ApiError 400."""
    if len(body) > MOST_BRACKETS:  # a shorter one cannot hold too many of anything
        _check_bulk(body)
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise refusal_of_fault(error.errors(include_url=False)[0]) from None


def checked_strings(kind: type[AnyBody], strings: dict[str, object] | dict[str, str]) -> AnyBody:
    """Of a form, or a query. Raises ApiError 400."""
    try:
        return kind.model_validate_strings(strings)
    except ValidationError as error:
        raise refusal_of_fault(error.errors(include_url=False)[0]) from None


def _check_bulk(body: bytes) -> None:
    """Raises ApiError 400."""
    for things, found, most in _bulk(body):
        if found > most:
            message = f"The request body holds {found:,} {things}: at most {most:,} are taken."
            raise _refused(message, None, "request_too_complex")


def _bulk(body: bytes) -> Iterator[tuple[str, int, int]]:
    """(what, how many, how many are taken), by counts that cost next to nothing.

    Quotes within text are escaped; brackets and commas there look like JSON's own, so those bounds are wide.
    """
    yield "opening brackets", body.count(b"{") + body.count(b"["), MOST_BRACKETS
    yield "strings", (body.count(b'"') - body.count(b'\\"')) // 2, MOST_STRINGS
    yield "commas", body.count(b","), MOST_COMMAS


def _too_large(limit_bytes: int) -> ApiError:
    return ApiError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"The request body is too large: at most {limit_bytes / MEBIBYTE:g} MiB are taken.",
        code="request_too_large",
    )


def refusal_of_fault(error: ErrorDetails) -> ApiError:
    """What pydantic found, in OpenAI's words. The location begins within the body, or the query."""
    kind, context = error["type"], error.get("ctx", {})
    param: str | None = context.get("param") or _param(error["loc"])
    if kind == "json_invalid":
        message = (
            f"We could not parse the JSON body of your request: {context.get('error', 'it is malformed')}."
        )
        return _refused(message, None, None)
    if kind == "missing":
        what = "request body" if param is None else f"required parameter: '{param}'"
        return _refused(f"Missing {what}.", param, "missing_required_parameter")
    if kind in _RANGES:
        word, sign, bound = _RANGES[kind]
        number = "integer" if isinstance(context[bound], int) else "decimal"
        message = (
            f"Invalid '{param}': {number} {word} value. "
            f"Expected a value {sign} {context[bound]:g}, but got {_shown(error['input'])} instead."
        )
        return _refused(message, param, f"{number}_{word.replace('imum', '').replace(' ', '_')}_value")
    if kind in _LENGTHS:
        word, bound = _LENGTHS[kind]
        message = f"Invalid '{param}': {word}. Expected a length of {bound} {context[bound + '_length']}."
        return _refused(message, param, word.replace(" ", "_"))
    message = error["msg"].removeprefix("Value error, ")
    code = "invalid_type" if kind.endswith(("_type", "_parsing", "from_float")) else "invalid_value"
    if code == "invalid_type":
        message = _EXPECTED.get(kind) or message.partition(", unable to parse")[0]
        of = f"'{param}'" if param else "the JSON body"
        return _refused(
            f"Invalid type for {of}: {message}, but got {_kind_of(error['input'])} instead.", param, code
        )
    return _refused(f"Invalid value for '{param}': {message}." if param else f"{message}.", param, code)


_EXPECTED = {"model_attributes_type": "Input should be an object"}
"""By the kind of fault, where pydantic tells more of itself than of the input."""
_RANGES = {
    "greater_than_equal": ("below minimum", ">=", "ge"),
    "less_than_equal": ("above maximum", "<=", "le"),
}
_LENGTHS = {
    "too_short": ("array below min length", "min"),
    "too_long": ("array above max length", "max"),
    "string_too_short": ("string below min length", "min"),
    "string_too_long": ("string above max length", "max"),
}


def _refused(message: str, param: str | None, code: str | None) -> ApiError:
    return ApiError(HTTPStatus.BAD_REQUEST, message, param=param, code=code)


def _param(location: tuple[int | str, ...]) -> str | None:
    """`messages[0].content`, as OpenAI writes it, without the tags of unions (`<message>`)."""
    named = [part for part in location if isinstance(part, int) or not part.startswith("<")]
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in named)
    return re.sub(r"\.\[key\]$", "", path).lstrip(".") or None


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _kind_of(value: object) -> str:
    kinds = {
        dict: "an object",
        list: "an array",
        str: "a string",
        bool: "a boolean",
        int: "an integer",
        float: "a decimal",
        type(None): "null",
    }
    return kinds.get(type(value), "something else")
