"""What clients are told when something is wrong: OpenAI's error object, with the right status."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

INVALID = "invalid_request_error"
SERVER = "server_error"
LONGEST_ECHO = 200
"""Letters of what a client sent that come back in a message."""


class ApiError(Exception):
    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str = INVALID,  # noqa: A002 -- the word on the wire
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.type = type
        self.param = param
        self.code = code
        self.headers = dict(headers or {})

    def body(self) -> dict[str, dict[str, str | None]]:
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}

    def response(self) -> Response:
        return JSONResponse(self.body(), self.status, self.headers)


def bad_value(param: str, message: str, code: str = "invalid_value") -> ApiError:
    return ApiError(HTTPStatus.BAD_REQUEST, message, param=param, code=code)


def unknown_model(model: str) -> ApiError:
    return ApiError(
        HTTPStatus.NOT_FOUND,
        f"The model `{model[:LONGEST_ECHO]}` does not exist or you do not have access to it.",
        param="model",
        code="model_not_found",
    )


def not_routed(request: Request, error: HTTPException, allowed: Iterable[str]) -> ApiError:
    """No such path, or not with this method but with `allowed` ones; or what the framework says of a body."""
    url = f"{request.method} {request.url.path}"
    if error.status_code == HTTPStatus.NOT_FOUND:
        return ApiError(error.status_code, f"Unknown request URL: {url}.", code="unknown_url")
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        message = f"Not allowed to {request.method} on {request.url.path}."
        headers = {"allow": ", ".join(sorted(allowed))}
        return ApiError(error.status_code, message, code="method_not_allowed", headers=headers)
    return ApiError(error.status_code, str(error.detail), headers=error.headers)


def crashed() -> ApiError:
    message = "The server had an error while processing your request. Sorry about that!"
    return ApiError(HTTPStatus.INTERNAL_SERVER_ERROR, message, type=SERVER)


def no_room() -> ApiError:
    """A second try soon would find the same disk, so clients are told not to."""
    message = "The server's disk is full: nothing was changed."
    headers = {"x-should-retry": "false"}
    return ApiError(
        HTTPStatus.INSUFFICIENT_STORAGE, message, type=SERVER, code="storage_full", headers=headers
    )
