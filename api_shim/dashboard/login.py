"""`8080 login`: a page on which somebody lets the command line in, and where that turns a code into a token.

Programs that are no browsers, such as curl, are let in at once where they are on this machine: they could as
well read the server's files. Applications that others have deployed could not, so where one runs it has to be
a program of the server's own user. A browser is asked, since any page may send it here.
"""

from http import HTTPStatus
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api_shim.accounts.login import (
    LOOPBACK,
    AskedLogin,
    BadCodeError,
    BadRedirectError,
    NotAskedError,
    check_redirect,
)
from api_shim.accounts.own_programs import is_own_program
from api_shim.dashboard.pages import FORM_BYTES, HEADERS, MOST_FIELDS, POLICY, dashboard_of, form_of, render
from api_shim.dashboard.sessions import TooManyGuessesError, WrongTokenError
from api_shim.routes.described import TheShim, api_router
from api_shim.shim import Shim
from api_shim.store.full_disk import StorageFullError
from api_shim.wire.body import read
from api_shim.wire.errors import ApiError, bad_value, no_room

LOGIN = "/accounts/login/oauth"
TOKEN_FORM: dict[str, Any] = {
    "type": "object",
    "required": ["code", "state", "grant_type"],
    "properties": {
        "code": {"type": "string"},
        "state": {"type": "string"},
        "grant_type": {"const": "authorization_code"},
    },
}

router = APIRouter()
_pages = APIRouter(prefix=LOGIN, include_in_schema=False)
_tokens = api_router("login", prefix=LOGIN)


class LoginToken(BaseModel):
    access_token: str = Field(description="for `/api`, and with `x-8080-project-slug` for `/v1`", repr=False)
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 -- OAuth's word


@_pages.get("")
async def ask(request: Request, shim: TheShim) -> Response:
    """Ends at the client's own address, with a code or without one."""
    _check_on(shim)
    redirect_uri, now_s = request.query_params.get("redirect_uri", ""), shim.clock.unix_s()
    try:
        check_redirect(redirect_uri)
        asked = shim.login_flow.ask(redirect_uri, now_s)
    except BadRedirectError as error:
        return _page("login_wrong.html", HTTPStatus.BAD_REQUEST, message=f"The {error}.")
    if not _needs_token(request, shim) and not _is_browser(request):
        return RedirectResponse(shim.login_flow.allow(asked.state, now_s), HTTPStatus.FOUND, _NO_STORE)
    token = request.headers.get("authorization", "").partition(" ")[2].strip()
    if token:
        wrong = _wrong_token(request, token, now_s)
        if wrong is not None:
            raise wrong
        return RedirectResponse(shim.login_flow.allow(asked.state, now_s), HTTPStatus.FOUND, _NO_STORE)
    return _asking(request, shim, asked)


@_pages.post("")
async def decide(
    request: Request, shim: TheShim, form: Annotated[dict[str, str], Depends(form_of)]
) -> Response:
    _check_on(shim)
    state, now_s = form.get("state", ""), shim.clock.unix_s()
    try:
        asked = shim.login_flow.asked(state, now_s)
        if form.get("decision") != "allow":
            return _back(shim.login_flow.deny(state, now_s))
        if _needs_token(request, shim):
            wrong = _wrong_token(request, form.get("token", "").strip(), now_s)
            if wrong is not None:
                return _asking(request, shim, asked, wrong)
        return _back(shim.login_flow.allow(state, now_s))
    except NotAskedError:
        message = "Nobody asks for this login any more: start `8080 login` again."
        return _page("login_wrong.html", HTTPStatus.BAD_REQUEST, message=message)


@_tokens.post(
    "/token",
    summary="Turn the code of a login into a token",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/x-www-form-urlencoded": {"schema": TOKEN_FORM}},
        }
    },
)
async def token(request: Request, response: Response, shim: TheShim) -> LoginToken:
    """A code is good for one token, for two minutes."""
    _check_on(shim)
    raw = await read(request, FORM_BYTES)
    try:
        form = parse_qs(raw.decode(), max_num_fields=MOST_FIELDS)
    except ValueError:
        raise bad_value("form", "The body has to be a form.") from None
    given = {name: form.get(name, [""])[-1] for name in TOKEN_FORM["required"]}
    for name, value in given.items():
        if not value:
            raise bad_value(name, f"Missing required parameter: '{name}'.", "missing_required_parameter")
    if given["grant_type"] != "authorization_code":
        raise bad_value("grant_type", "grant_type has to be authorization_code.", "unsupported_grant_type")
    now_s = shim.clock.unix_s()
    try:
        made = shim.login_flow.redeem(given["code"], given["state"], now_s)
        await shim.clock.aside(lambda: shim.store.logins_aside.add(made, now_s))
    except BadCodeError:
        message = "The code is unknown, used, too old, or of another state: log in again."
        raise bad_value("code", message, "invalid_grant") from None
    except StorageFullError:
        raise no_room() from None
    response.headers.update(_NO_STORE)
    return LoginToken(access_token=made)


router.routes += [*_pages.routes, *_tokens.routes]
_NO_STORE = {"cache-control": "no-store", "referrer-policy": "no-referrer"}


def _check_on(shim: Shim) -> None:
    if shim.settings.login == "off":
        raise ApiError(
            HTTPStatus.NOT_FOUND, "This server takes no logins (`serve --login off`).", code="no_logins"
        )


def _needs_token(request: Request, shim: Shim) -> bool:
    """Not of whoever is on this machine and has asked for it by a name of this machine."""
    client = request.scope.get("client")
    address, host = client[0] if client else "", request.url.hostname
    here = address.removeprefix("::ffff:") in LOOPBACK and host in LOOPBACK
    return shim.settings.login == "token" or not here or not _is_known_to_be_ours(request, shim)


def _is_known_to_be_ours(request: Request, shim: Shim) -> bool:
    """Applications of others are on this machine, too, and may read none of the server's files."""
    if not any(app.plan.isolated for app in shim.edge.apps):
        return True
    client, server = request.scope["client"], request.scope["server"]
    return is_own_program((client[0], client[1]), (server[0], server[1]))


def _is_browser(request: Request) -> bool:
    headers = request.headers
    return (
        any(name.startswith("sec-fetch-") or name in {"origin", "referer"} for name in headers)
        or "text/html" in headers.get("accept", "")
        or headers.get("user-agent", "").startswith("Mozilla/")
    )


def _wrong_token(request: Request, given: str, now_s: float) -> ApiError | None:
    """Of the dashboard; None for the right one."""
    sessions, client = dashboard_of(request).sessions, request.scope.get("client")
    refused = ApiError(HTTPStatus.FORBIDDEN, "That is not the token of this server's present start.")
    if sessions is None:
        return refused
    try:
        sessions.check(given, client[0] if client else "", now_s)
    except WrongTokenError:
        return refused
    except TooManyGuessesError as error:
        message = f"Too many wrong tokens came from your address: try again in {error.retry_after_s:.0f} s."
        return ApiError(HTTPStatus.TOO_MANY_REQUESTS, message)
    return None


def _asking(request: Request, shim: Shim, asked: AskedLogin, wrong: ApiError | None = None) -> Response:
    return _page(
        "login.html",
        HTTPStatus.OK if wrong is None else wrong.status,
        origin=asked.origin,
        asked=asked,
        action=LOGIN,
        needs_token=_needs_token(request, shim),
        wrong=None if wrong is None else wrong.message,
    )


def _page(template: str, status: int, origin: str = "", **content: object) -> Response:
    """Browsers hold what follows a form to the form's policy, the client's own address included."""
    policy = POLICY.replace("form-action 'self'", f"form-action 'self' {origin}".rstrip())
    text = render(template, {"session": None, **content})
    return HTMLResponse(text, status, {**HEADERS, "content-security-policy": policy})


def _back(address: str) -> Response:
    return RedirectResponse(address, HTTPStatus.SEE_OTHER, _NO_STORE)
