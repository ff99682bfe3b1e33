"""The first to see a request: it checks the key before anything is read, and signs every answer."""

import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from starlette.datastructures import MutableHeaders, QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api_shim.accounts.callers import PROJECT_HEADER
from api_shim.edge.addresses import HOSTED, under_its_path
from api_shim.node_ports import check_path
from api_shim.shim import Shim
from api_shim.wire.errors import ApiError, crashed
from api_shim.wire.said import Said, said_in
from sim.time.units import PS_PER_MS

RequestHandler = Callable[[Request], Awaitable[Response]]
GUARDED = ("/v1", "/api", "/otlp", HOSTED)
"""The API, the older one of the platform, the collector of applications, and they themselves."""
GUARDED_PATH = re.compile(rf"(?:{'|'.join(GUARDED)})(?:/|\Z)")
FOR_LOGINS = re.compile(r"/api/(?:org|project)(?:/|\Z)")
"""What of it is asked before there is a project: with a login's token alone."""
OLDER_PATH = re.compile(r"/api/(?:secrets|(?:sandbox|endpoint)/[^/]+)/(?P<project>[^/]+)(?:/.*)?")
REQUEST_ID_HEADER = "x-request-id"
RAW_REQUEST_ID, RAW_NOW, RAW_PROCESSING = b"x-request-id", b"x-sim-now-ps", b"openai-processing-ms"
REQUEST_ID = re.compile(r"[!-~]{1,128}")
"""What is taken for a client's own: visible ASCII, so that it can go back in a header and into a file."""


class Door:
    """ASGI middleware, without Starlette's task per request. `straight` are endpoints by their paths."""

    def __init__(self, app: ASGIApp, shim: Shim, straight: Mapping[str, RequestHandler]) -> None:
        self._app = app
        self._shim = shim
        self._straight = straight

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
                _sign(message, request_id, began_ps, shim.clock.now_ps())
            await send(message)

        try:
            self._admit(scope)
            await self._pass_on(scope, receive, signed)
        except ApiError as error:
            await error.response()(scope, receive, signed)
        except ClientDisconnect:
            return  # in the middle of its own request: there is nobody to tell
        except Exception:
            if not started:
                await crashed().response()(scope, receive, signed)
            raise

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The endpoints that most requests are for need nothing of what else stands behind the door:

        they refuse with ApiErrors alone, and read and answer by themselves.
        """
        endpoint = self._straight.get(scope["path"])
        if endpoint is None or scope["method"] != "POST" or scope.get("root_path"):
            await self._app(scope, receive, send)
        else:
            response = await endpoint(Request(scope, receive, send))
            await response(scope, receive, send)

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
        state, said = _state(scope), said_in(scope)
        theirs = said.get(REQUEST_ID_HEADER, "")
        request_id = theirs if theirs and REQUEST_ID.fullmatch(theirs) else self._shim.new_id("req_")
        state["said"], state["request_id"] = said, request_id
        return request_id

    def _admit(self, scope: Scope) -> None:
        path: str = scope["path"]
        settings, server = self._shim.settings, scope.get("server")
        node = settings.node_of_port.get(server[1]) if server and settings.node_of_port else None
        state = _state(scope)
        state["node"] = node
        if node is not None:
            check_path(node, path, settings.api_url)
        callers, said = self._shim.callers, state.get("said") or said_in(scope)
        if FOR_LOGINS.match(path):
            state["login"] = callers.login(said.get("authorization"))
        elif GUARDED_PATH.match(path):
            named = partial(_named_project, scope, said)
            state["caller"] = callers.caller(said.get("authorization"), named)


def _sign(message: Message, request_id: str, began_ps: int, now_ps: int) -> None:
    """The head of an answer."""
    headers = message["headers"] = list(message["headers"])
    names = {name for name, _ in headers}
    for name, value in ((RAW_REQUEST_ID, request_id.encode()), (RAW_NOW, b"%d" % now_ps)):
        if name in names:  # of another server, whose answer is passed on
            MutableHeaders(raw=headers)[name.decode()] = value.decode()
        else:
            headers.append((name, value))
    if RAW_PROCESSING not in names:
        headers.append((RAW_PROCESSING, b"%d" % ((now_ps - began_ps) // PS_PER_MS)))


def _named_project(scope: Scope, said: Said) -> str | None:
    """Where 8080's clients name it: in a header, in a terminal's query, in the paths of the older ones."""
    named = said.get(PROJECT_HEADER) or QueryParams(scope["query_string"]).get("project_slug")
    older = OLDER_PATH.fullmatch(scope["path"])
    return older["project"] if older else named


def _state(scope: Scope) -> dict[str, Any]:
    """What Starlette shows as `request.state`."""
    state: dict[str, Any] = scope.setdefault("state", {})
    return state
