"""What all pages have in common: their policy, their templates, who asks, and what goes wrong."""

import re
from collections.abc import Callable, Coroutine
from functools import cache, partial
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs, quote

from fastapi import APIRouter, Depends
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api_shim.dashboard import words
from api_shim.dashboard.live import LiveView
from api_shim.dashboard.sessions import Session, Sessions
from api_shim.routes.described import TheShim
from api_shim.shim import Shim
from api_shim.wire.body import read
from api_shim.wire.errors import ApiError, bad_value

ROOT = "/dashboard"
SIGN_IN = f"{ROOT}/sign-in"
COOKIE = "e80sim-dashboard-{port}"
"""A browser gives cookies of one host to all its ports, and each server has sessions of its own."""
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",  # with `no-referrer` browsers send forms with `Origin: null`
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
FORM_BYTES = 16 * 1024
MOST_FIELDS = 20
OWN_PAGE = re.compile(r"/dashboard(?:[/?][A-Za-z0-9_./?=&%+:~-]*)?")
"""Where a sign-in may lead to: nothing that a browser takes for another host."""

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Dashboard:
    """What the pages of one server share."""

    def __init__(self, shim: Shim) -> None:
        token = shim.settings.dashboard_token
        self.sessions = None if token is None else Sessions(token)
        """None: there is no dashboard."""
        self.live = LiveView(shim)


class SignInNeededError(Exception):
    pass


class PageRoute(APIRoute):
    """Whatever a request comes to is a page, under a policy that browsers enforce."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def answered(request: Request) -> Response:
            if dashboard_of(request).sessions is None:
                return Response(
                    "This server has no dashboard.\n", HTTPStatus.NOT_FOUND, media_type="text/plain"
                )
            try:
                response = await handle(request)
            except SignInNeededError:
                response = _to_sign_in(request)
            except (ApiError, HTTPException, RequestValidationError) as error:
                response = await _error_page(request, error)
            for name, value in HEADERS.items():
                response.headers.setdefault(name, value)
            return response

        return answered


def page_router() -> APIRouter:
    return APIRouter(prefix=ROOT, route_class=PageRoute, include_in_schema=False)


def dashboard_of(request: Request) -> Dashboard:
    dashboard: Dashboard = request.app.state.dashboard
    return dashboard


def sessions_of(request: Request) -> Sessions:
    sessions = dashboard_of(request).sessions
    assert sessions is not None
    return sessions


def cookie_name(request: Request) -> str:
    server = request.scope.get("server")
    return COOKIE.format(port=server[1] if server else 0)


def session_of(request: Request, shim: Shim) -> Session | None:
    cookie = request.cookies.get(cookie_name(request))
    return sessions_of(request).find(cookie, shim.clock.unix_s())


async def _signed_in(request: Request, shim: TheShim) -> Session:
    session = session_of(request, shim)
    if session is None:
        raise SignInNeededError
    return session


SignedIn = Annotated[Session, Depends(_signed_in)]


async def form_of(request: Request) -> dict[str, str]:
    """The last value of each field. Raises ApiError for what is too large, no form, or of another site."""
    check_origin(request)
    try:
        fields = parse_qs(
            (await read(request, FORM_BYTES)).decode(),
            keep_blank_values=True,
            strict_parsing=False,
            max_num_fields=MOST_FIELDS,
        )
    except ValueError:
        raise bad_value("form", "That is not a form of this page.") from None
    return {name: values[-1] for name, values in fields.items()}


async def signed_form(request: Request, session: SignedIn) -> dict[str, str]:
    """Raises ApiError 403 where it is not from a page of this session."""
    form = await form_of(request)
    check_csrf(session, form)
    return form


SignedForm = Annotated[dict[str, str], Depends(signed_form)]


def check_csrf(session: Session, form: dict[str, str]) -> None:
    if not session.sent_by(form.pop("csrf", "")):
        raise ApiError(
            HTTPStatus.FORBIDDEN, "The form is not from a page of this session: load it again, and send it."
        )


def check_origin(request: Request) -> None:
    """Browsers say where a form comes from; other clients have no cookies to abuse."""
    origin, host = request.headers.get("origin"), request.headers.get("host", "")
    site = request.headers.get("sec-fetch-site", "same-origin")
    if site not in {"same-origin", "none"} or (origin is not None and origin.partition("://")[2] != host):
        raise ApiError(HTTPStatus.FORBIDDEN, "Forms of other sites are not taken.")


async def page(
    request: Request, shim: Shim, template: str, status: int = HTTPStatus.OK, **content: object
) -> Response:
    """Written aside, since a long one takes its time."""
    context = {
        "session": session_of(request, shim),
        "path": request.url.path,
        "scenario_name": shim.world.scenario.name,
        "any_key": shim.callers.any_key and shim.settings.need_key,
        "need_key": shim.settings.need_key,
        **content,
    }
    return HTMLResponse(await shim.clock.aside(partial(render, template, context)), status)


def see_other(path: str) -> Response:
    """After a form: what is loaded again is a page, not the form."""
    return RedirectResponse(path, HTTPStatus.SEE_OTHER)


def own_page(path: str) -> str:
    """`path` if it is one of the dashboard's, else its first page."""
    return path if OWN_PAGE.fullmatch(path) else ROOT


def render(template: str, context: dict[str, object]) -> str:
    return _templates().get_template(template).render(context)


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= words.FILTERS
    return environment


def _to_sign_in(request: Request) -> Response:
    if request.headers.get("sec-fetch-dest") == "empty":  # a script, which cannot show the page
        return Response(status_code=HTTPStatus.UNAUTHORIZED)
    wanted = request.url.path
    if request.method not in {"GET", "HEAD"}:
        wanted = ROOT
    elif request.url.query:
        wanted = f"{wanted}?{request.url.query}"
    asked = "" if wanted == ROOT else f"?next={quote(wanted, safe='')}"
    return see_other(SIGN_IN + asked)


async def _error_page(request: Request, error: ApiError | HTTPException | RequestValidationError) -> Response:
    if isinstance(error, RequestValidationError):
        status, message = HTTPStatus.BAD_REQUEST, "Something in the address of this page cannot be read."
    elif isinstance(error, ApiError):
        status, message = HTTPStatus(error.status), error.message
    elif error.status_code == HTTPStatus.NOT_FOUND:
        status, message = HTTPStatus.NOT_FOUND, "There is no such page."
    else:
        status, message = HTTPStatus(error.status_code), str(error.detail)
    shim: Shim = request.app.state.shim
    response = await page(request, shim, "error.html", status, message=message, title=status.phrase)
    response.headers.update(getattr(error, "headers", None) or {})
    return response
