"""The first to see a request: it checks the key before anything is read, and signs every answer."""

import re
from functools import partial
from typing import Any

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api_shim.accounts.callers import PROJECT_HEADER
from api_shim.edge.addresses import HOSTED, under_its_path
from api_shim.node_ports import check_path
from api_shim.shim import Shim
from api_shim.wire.errors import ApiError, crashed
from sim.time.units import PS_PER_MS

GUARDED = ("/v1", "/api", "/otlp", HOSTED)
"""The API, the older one of the platform, the collector of applications, and they themselves."""
FOR_LOGINS = ("/api/org", "/api/project")
"""What of it is asked before there is a project: with a login's token alone."""
OLDER_PATH = re.compile(r"/api/(?:secrets|(?:sandbox|endpoint)/[^/]+)/(?P<project>[^/]+)(?:/.*)?")
REQUEST_ID_HEADER = "x-request-id"
REQUEST_ID = re.compile(r"[!-~]{1,128}")
"""What is taken for a client's own: visible ASCII, so that it can go back in a header and into a file."""


class Door:
    """ASGI middleware, without Starlette's task per request."""

    def __init__(self, app: ASGIApp, shim: Shim) -> None:
        self._app = app
        self._shim = shim

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope = under_its_path(scope)
        if scope["type"] == "websocket":
            await self._open_websocket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        shim, began_ps = self._shim, self._shim.clock.now_ps()
        request_id = self._request_id(scope)
        started = False

        async def signed(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID_HEADER] = request_id
                now_ps = shim.clock.now_ps()
                headers["x-sim-now-ps"] = str(now_ps)
                headers.setdefault("openai-processing-ms", str((now_ps - began_ps) // PS_PER_MS))
            await send(message)

        try:
            self._admit(scope)
            await self._app(scope, receive, signed)
        except ApiError as error:
            await error.response()(scope, receive, signed)
        except ClientDisconnect:
            return  # in the middle of its own request: there is nobody to tell
        except Exception:
            if not started:
                await crashed().response()(scope, receive, signed)
            raise

    async def _open_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A handshake is refused as a request is, with an answer."""
        try:
            self._admit(scope)
        except ApiError as error:
            await error.response()(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _request_id(self, scope: Scope) -> str:
        """The client's own where it has one that will do: it is how people join their rows with ours."""
        theirs = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
        request_id = theirs if REQUEST_ID.fullmatch(theirs) else self._shim.new_id("req_")
        _state(scope)["request_id"] = request_id
        return request_id

    def _admit(self, scope: Scope) -> None:
        path: str = scope["path"]
        settings, server = self._shim.settings, scope.get("server")
        node = settings.node_of_port.get(server[1]) if server and settings.node_of_port else None
        _state(scope)["node"] = node
        if node is not None:
            check_path(node, path, settings.api_url)
        callers, headers = self._shim.callers, Headers(scope=scope)
        if _is_below(path, FOR_LOGINS):
            _state(scope)["login"] = callers.login(headers.get("authorization"))
        elif _is_below(path, GUARDED):
            named = partial(_named_project, scope, headers)
            _state(scope)["caller"] = callers.caller(headers.get("authorization"), named)


def _is_below(path: str, roots: tuple[str, ...]) -> bool:
    return any(path == root or path.startswith(root + "/") for root in roots)


def _named_project(scope: Scope, headers: Headers) -> str | None:
    """Where 8080's clients name it: in a header, in a terminal's query, in the paths of the older ones."""
    named = headers.get(PROJECT_HEADER) or QueryParams(scope["query_string"]).get("project_slug")
    older = OLDER_PATH.fullmatch(scope["path"])
    return older["project"] if older else named


def _state(scope: Scope) -> dict[str, Any]:
    """What Starlette shows as `request.state`."""
    state: dict[str, Any] = scope.setdefault("state", {})
    return state
