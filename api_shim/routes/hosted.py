"""Requests to applications, at `{slug}.hosted.…` and below `/hosted/{slug}`: passed on as they come.

The user's way to the Edge and back takes its simulated time; what the application does in between is real.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPMethod, HTTPStatus

import h11
from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from api_shim.accounts.callers import PLACE_HEADER
from api_shim.accounts.login import LOGIN_PREFIX
from api_shim.clocks.clock import until
from api_shim.edge.addresses import HOSTED
from api_shim.edge.app_connection import (
    HOP_BY_HOP,
    WITHOUT_BODY,
    AppConnection,
    AppLostError,
    Header,
    UnpassableError,
)
from api_shim.edge.app_socket import GONE, AppSocket, Closing, RefusedHandshakeError
from api_shim.edge.delay_line import DelayLine
from api_shim.edge.edge_app import AppLife, EdgeApp
from api_shim.edge.user_leg import UserLeg
from api_shim.routes.common import CLIENT_CLOSED_REQUEST
from api_shim.shim import Shim
from api_shim.tracing.app_trace import AppTrace
from api_shim.tracing.kept import WhoAsks
from api_shim.tracing.span_ids import valid_traceparent
from api_shim.wire.errors import SERVER, ApiError, bad_value
from sim.time.units import PS_PER_MS

ANY_METHOD = [method for method in HTTPMethod if method not in {HTTPMethod.CONNECT, HTTPMethod.TRACE}]
SEEN_OF_STREAM = ("sent", "connected", "arrived", "left", "first-seen")
SEEN = ("sent", "connected", "arrived", "left", "done", "ended")
"""Stamps that an answer has when it begins at its user."""
WHOLE_BYTES = 2**20
"""A longer answer is passed on as it comes, like one of unknown length."""
OURS = {b"x-request-id", b"x-forwarded-host", b"x-forwarded-prefix", b"x-forwarded-proto"}
OURS |= {PLACE_HEADER.encode()}
"""Which a client might also send. The application hears it from us; where its user is, is not where it is."""
COOKIES = {b"cookie", b"set-cookie", b"clear-site-data"}
NOT_OUR_PAGE = [(b"content-security-policy", b"sandbox"), (b"x-content-type-options", b"nosniff")]
"""Below a path an application shares its address with our own pages: neither may it see or set their cookies,
nor may a browser take what it answers for one of them."""
LAST = b""


@dataclass(slots=True)
class HostedRequest:
    """A request to an application, over HTTP or a WebSocket."""

    shim: Shim
    app: EdgeApp
    scope: Scope
    place: str
    leg: UserLeg
    trace: AppTrace
    stamps: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, connection: Request | WebSocket) -> "HostedRequest":
        """It leaves its user now. Raises ApiError."""
        shim: Shim = connection.app.state.shim
        caller, scope = connection.state.caller, connection.scope
        app = shim.edge.find(connection.path_params["slug"], caller)
        server = scope.get("server")
        place = shim.callers.place(
            caller, connection.headers.get(PLACE_HEADER), server[1] if server else None
        )
        length = connection.headers.get("content-length", "0")
        size_bytes = int(length) if length.isdecimal() else 0
        leg = shim.edge.legs.begin(caller.connections, place, shim.clock.reach(), size_bytes)
        departure = leg.departure
        stamps = {"sent": departure.sent_ps, "connected": departure.connected_ps, "arrived": leg.arrived_ps}
        headers = connection.headers
        who = WhoAsks(
            endpoint=scope["path"],
            request_id=scope.get("state", {}).get("request_id", ""),
            project=app.plan.project,
            key=caller.key,
            secret=headers.get("authorization", "").partition(" ")[2].strip(),
            traceparent=valid_traceparent(headers.get("traceparent")),
        )
        trace = shim.tracer.around(who, place=place, app=app.plan.slug)
        return cls(shim, app, scope, place, leg, trace, stamps)

    @property
    def by_path(self) -> bool:
        return "hosted_by_name" not in self.scope

    @property
    def target(self) -> bytes:
        """As the application sees it."""
        path = b"/" + b"".join(self.scope["raw_path"].split(b"/", 3)[3:])
        query = self.scope["query_string"]
        return bytes(path + (b"?" + query if query else b""))

    def headers(self) -> list[Header]:
        """Of the user, with what the application should know of the way."""
        left_out = OURS | {b"traceparent"} | (COOKIES if self.by_path else set())
        theirs = self.scope["headers"]
        passed = [header for header in theirs if header[0] not in left_out and not _is_login(header)]
        host = next((value for name, value in passed if name == b"host"), None)
        if host is None:  # as HTTP/1.0 allows
            host = b"localhost"
            passed.append((b"host", host))
        passed.append((b"x-forwarded-host", host))
        passed.append((b"x-forwarded-proto", b"http"))
        if self.by_path:
            passed.append((b"x-forwarded-prefix", f"{HOSTED}/{self.app.plan.slug}".encode()))
        request_id = self.scope.get("state", {}).get("request_id")
        passed.append((b"traceparent", self.trace.traceparent.encode()))
        if request_id is not None:
            passed.append((b"x-request-id", request_id.encode()))
        return passed

    async def arrive(self) -> AppLife:
        """The request is at the application, which runs. Raises ApiError."""
        await until(self.shim.clock, self.leg.arrived_ps)
        life = await self.shim.edge.ready(self.app)
        self.shim.edge.began(self.app, life)
        return life

    def lost(self, error: AppLostError) -> ApiError:
        return ApiError(
            HTTPStatus.BAD_GATEWAY,
            f"The application `{self.app.plan.slug}` went away before it had answered: {error}.",
            type=SERVER,
            code="app_lost",
        )


def _is_login(header: Header) -> bool:
    """A token that opens every project, which is no business of an application of one of them."""
    return header[0] == b"authorization" and LOGIN_PREFIX.encode() in header[1]


async def ask_hosted(request: Request) -> Response:
    return HostedAnswer(HostedRequest.of(request))


class HostedAnswer(Response):
    """Asks the application when it is sent, since the body of the request is still on its way in."""

    def __init__(self, asked: HostedRequest) -> None:
        self.background = None
        self._asked = asked
        self._shim = asked.shim
        self._overhead_ps = 0
        self._status = 0
        self._streamed = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises ApiError as long as nothing was sent, and ClientDisconnect."""
        asked, visits, life = self._asked, self._asked.app.visits, None
        visits.traces.append(asked.trace)
        outcome = "cancelled"
        try:
            life = await asked.arrive()
            await self._visit(life, scope["method"], receive, send)
            visits.answered += 1
            outcome = "stop"
        except ApiError as error:
            visits.failed += 1
            self._status, outcome = error.status, "refused"
            raise
        except AppLostError:
            visits.failed += 1  # in the middle: the connection is closed without an end, which would be one
            outcome = "node_lost"
        finally:
            if life is not None:
                self._shim.edge.over(asked.app, life)
            asked.leg.drop()
            visits.traces.remove(asked.trace)
            status = self._status or CLIENT_CLOSED_REQUEST
            self._shim.tracer.end_around(asked.trace, asked.stamps, status, outcome, streamed=self._streamed)

    async def _visit(self, life: AppLife, method: str, receive: Receive, send: Send) -> None:
        asked, clock = self._asked, self._shim.clock
        given_ps = clock.reach()
        try:
            connection = await AppConnection.open(life.socket)
        except AppLostError as error:
            raise asked.lost(error) from None
        try:
            passing = asyncio.create_task(_pass_request(asked, method, receive, connection))
            answering = asyncio.create_task(self._answer(connection, given_ps, send))
            try:
                await asyncio.wait({passing, answering}, return_when=asyncio.FIRST_COMPLETED)
                if not answering.done():
                    await passing
                    raise ClientDisconnect  # its user has left
                await answering
            finally:
                for task in (passing, answering):
                    task.cancel()
                await asyncio.gather(passing, answering, return_exceptions=True)
        finally:
            connection.close()

    async def _answer(self, connection: AppConnection, given_ps: int, send: Send) -> None:
        clock, asked, visits = self._shim.clock, self._asked, self._asked.app.visits
        try:
            head = await connection.head()
        except AppLostError as error:
            raise asked.lost(error) from None
        left_ps = asked.stamps["left"] = clock.reach()
        visits.app.observe(self._of_client(left_ps - given_ps))
        self._overhead_ps = max(0, given_ps - asked.leg.arrived_ps)
        length = _length(head)
        if length is not None and length <= WHOLE_BYTES:
            try:
                body = b"".join([piece async for piece in connection.body()])
            except AppLostError as error:
                raise asked.lost(error) from None
            done_ps = asked.stamps["done"] = clock.reach()
            ended_ps = asked.stamps["ended"] = asked.leg.whole_ps(done_ps, length)
            await until(clock, ended_ps)
            self._note_lateness(ended_ps)
            await self._begin(head, send)
            asked.trace.wrote(body)
            await send({"type": "http.response.body", "body": body})
            return
        self._streamed = True
        await self._pass_stream(connection, head, left_ps, send)

    async def _pass_stream(
        self, connection: AppConnection, head: h11.Response, left_ps: int, send: Send
    ) -> None:
        clock, leg = self._shim.clock, self._asked.leg
        first_ps = self._asked.stamps["first-seen"] = leg.first_ps(left_ps)
        line: DelayLine[bytes] = DelayLine(clock, first_ps - left_ps)
        reading = asyncio.create_task(self._read_stream(connection, line))
        try:
            await until(clock, first_ps)
            self._note_lateness(first_ps)
            await self._begin(head, send)
            while True:
                piece = await line.get()
                if piece is LAST:
                    break
                self._asked.trace.wrote(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await reading  # raises where the answer broke off: it must not look like its end
            await send({"type": "http.response.body", "body": b""})
        finally:
            reading.cancel()

    async def _read_stream(self, connection: AppConnection, line: DelayLine[bytes]) -> None:
        size_bytes = 0
        try:
            async for piece in connection.body():
                if piece:
                    size_bytes += len(piece)
                    await line.put(piece)
        finally:
            done_ps = self._asked.stamps["done"] = self._shim.clock.reach()
            ended_ps = self._asked.stamps["ended"] = self._asked.leg.last_ps(done_ps, size_bytes)
            await line.put(LAST, ended_ps)

    async def _begin(self, head: h11.Response, send: Send) -> None:
        self._status = head.status_code
        headers = [*_passed_back(head.headers, by_path=self._asked.by_path), *self._stamps()]
        await send({"type": "http.response.start", "status": head.status_code, "headers": headers})

    def _stamps(self) -> Iterable[Header]:
        asked = self._asked
        yield b"x-sim-place", asked.place.encode()
        yield b"x-sim-app-place", self._shim.edge.legs.edge.encode()
        for name in SEEN_OF_STREAM if self._streamed else SEEN:
            at_ps = asked.stamps[name]
            yield f"x-sim-{name}-ps".encode(), str(at_ps).encode()
        yield b"x-sim-overhead-ms", f"{self._overhead_ps / PS_PER_MS:.3f}".encode()

    def _note_lateness(self, due_ps: int) -> None:
        """Beside what was lost on the way in."""
        self._overhead_ps += max(0, self._shim.clock.now_ps() - due_ps)
        self._asked.app.visits.overhead.observe(self._of_client(self._overhead_ps))

    def _of_client(self, span_ps: int) -> int:
        return round(span_ps / self._shim.clock.speed)


async def _pass_request(
    asked: HostedRequest, method: str, receive: Receive, connection: AppConnection
) -> None:
    """To its end, and then on until the user leaves. The trace hears of it first. Raises ApiError."""
    message = await receive()
    asked.trace.heard(message.get("body", b""))
    more: bool = message.get("more_body", False)
    if not more:
        asked.trace.heard_all()  # whether it is kept is part of what the application is told
    with suppress(AppLostError):  # it may answer without having heard all, and else its answer says so
        try:
            await connection.ask(method, asked.target, asked.headers())
        except UnpassableError as error:
            raise bad_value("headers", f"The request cannot be passed on: {error}.") from None
        while message["type"] == "http.request":
            if message.get("body"):
                await connection.write(message["body"])
            if not more:
                await connection.end()
                break
            message = await receive()
            asked.trace.heard(message.get("body", b""))
            more = message.get("more_body", False)
            if not more:
                asked.trace.heard_all()
    while message["type"] != "http.disconnect":
        message = await receive()


def _length(head: h11.Response) -> int | None:
    """None where it is not known before the end."""
    if head.status_code in WITHOUT_BODY:
        return 0
    found = next((value for name, value in head.headers if name == b"content-length"), b"")
    return int(found) if found.isdigit() else None


def _passed_back(headers: Iterable[Header], *, by_path: bool) -> Iterable[Header]:
    left_out = HOP_BY_HOP | {b"transfer-encoding", b"date"} | (COOKIES if by_path else set())
    for name, value in headers:
        if name not in left_out and not name.startswith(b"x-sim-"):
            yield name, value
    if by_path:
        yield from NOT_OUR_PAGE


# WebSockets


async def ask_hosted_socket(websocket: WebSocket) -> None:
    try:
        asked = HostedRequest.of(websocket)
        try:
            life = await asked.arrive()
            try:
                await _talk(asked, life, websocket)
            finally:
                asked.shim.edge.over(asked.app, life)
        finally:
            asked.leg.drop()
            asked.shim.tracer.forget_around()
    except ApiError as error:
        await websocket.send_denial_response(error.response())


async def _talk(asked: HostedRequest, life: AppLife, websocket: WebSocket) -> None:
    """Until one of the two closes."""
    clock = asked.shim.clock
    headers = asked.headers()
    host = websocket.headers.get("host", "localhost")
    offered = list(websocket.scope.get("subprotocols", ()))
    try:
        theirs = await AppSocket.open(life.socket, asked.target.decode(), host, headers, offered)
    except RefusedHandshakeError as refused:
        asked.app.visits.answered += 1
        await websocket.send_denial_response(Response(status_code=refused.status))
        return
    except AppLostError as error:
        asked.app.visits.failed += 1
        await websocket.send_denial_response(asked.lost(error).response())
        return
    left_ps = clock.reach()
    first_ps = asked.leg.first_ps(left_ps)
    await until(clock, first_ps)
    await websocket.accept(theirs.subprotocol)
    there: DelayLine[str | bytes | Closing] = DelayLine(clock, asked.leg.out_ps)
    back: DelayLine[str | bytes | Closing] = DelayLine(clock, first_ps - left_ps)
    tasks = [
        asyncio.create_task(way)
        for way in (
            _hear(websocket, there),
            _tell_app(there, theirs),
            _hear_app(theirs, back),
            _tell(back, websocket),
        )
    ]
    try:
        await asyncio.wait({tasks[1], tasks[3]}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        theirs.drop()
        asked.app.visits.answered += 1


async def _hear(websocket: WebSocket, there: DelayLine[str | bytes | Closing]) -> None:
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            await there.put(Closing(message.get("code", GONE), message.get("reason") or ""))
            return
        await there.put(message["text"] if message.get("text") is not None else message["bytes"])


async def _tell_app(there: DelayLine[str | bytes | Closing], theirs: AppSocket) -> None:
    with suppress(AppLostError):
        async for message in _messages(there):
            if isinstance(message, Closing):
                await theirs.close(message)
            else:
                await theirs.send(message)


async def _hear_app(theirs: AppSocket, back: DelayLine[str | bytes | Closing]) -> None:
    message: str | bytes | Closing = ""
    while not isinstance(message, Closing):
        message = await theirs.receive()
        await back.put(message)


async def _tell(back: DelayLine[str | bytes | Closing], websocket: WebSocket) -> None:
    with suppress(WebSocketDisconnect, RuntimeError):  # the user has left meanwhile
        async for message in _messages(back):
            if isinstance(message, Closing):
                code = 1011 if message.code == GONE else message.code
                await websocket.close(code, message.reason)
            elif isinstance(message, str):
                await websocket.send_text(message)
            else:
                await websocket.send_bytes(message)


async def _messages(line: DelayLine[str | bytes | Closing]) -> AsyncIterator[str | bytes | Closing]:
    """The last is a closing."""
    message: str | bytes | Closing = ""
    while not isinstance(message, Closing):
        message = await line.get()
        yield message


router = APIRouter()
router.routes += [
    Route(f"{HOSTED}/{{slug}}", ask_hosted, methods=ANY_METHOD, include_in_schema=False),
    Route(f"{HOSTED}/{{slug}}/{{path:path}}", ask_hosted, methods=ANY_METHOD, include_in_schema=False),
    WebSocketRoute(f"{HOSTED}/{{slug}}/{{path:path}}", ask_hosted_socket),
]
