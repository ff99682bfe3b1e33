"""An in-process transport for httpx and httpx2 that hands chunks on as they are sent, and keeps time-outs.

The libraries' own ASGI transports collect the whole body first, so that the first token comes with the last,
and know no time-outs. Under a `VirtualLoop` all of this happens in virtual time.
"""

import asyncio
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

from starlette.types import ASGIApp, Message

CLIENT = ("127.0.0.1", 50_000)
DEFAULT_PORTS = {"http": 80, "https": 443}


class Conversation:
    """One request to the application, and what it answers."""

    def __init__(self, app: ASGIApp, scope: dict[str, Any], body: bytes) -> None:
        self._body: bytes | None = body
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._left = asyncio.Event()
        self._started: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(app, scope))

    async def head(self) -> Message:
        """The start of the response. Raises what the application raised before it."""
        return await asyncio.shield(self._started)

    async def chunk(self) -> bytes | None:
        """None at the end of the body."""
        return await self._chunks.get()

    async def outcome(self) -> None:
        """Wait for the application to end. Raises what it raised."""
        await self._task

    async def leave(self) -> None:
        """Hang up, as a client does, and let the application notice."""
        self._left.set()
        await asyncio.wait([self._task])
        if not self._started.done():
            self._started.cancel()
        if not self._task.cancelled():
            self._task.exception()  # asyncio need not complain: it was told to whoever waited for the head

    async def _run(self, app: ASGIApp, scope: dict[str, Any]) -> None:
        try:
            await app(scope, self._receive, self._send)
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)
        finally:
            self._chunks.put_nowait(None)

    async def _receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if not self._started.done():
                self._started.set_result(message)
        elif message.get("body"):
            self._chunks.put_nowait(message["body"])


def make_transport(httpx: ModuleType, app: ASGIApp, port: int | None = None) -> Any:  # noqa: ANN401 -- of either library
    """An `AsyncBaseTransport` of `httpx` or `httpx2`; callers come in on `port`, if that is given."""

    class Body(httpx.AsyncByteStream):  # type: ignore[misc,name-defined]
        def __init__(self, conversation: Conversation, request: Any, timeout_s: float | None) -> None:  # noqa: ANN401
            self._conversation = conversation
            self._request = request
            self._timeout_s = timeout_s

        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                try:
                    async with asyncio.timeout(self._timeout_s):
                        chunk = await self._conversation.chunk()
                except TimeoutError:
                    raise httpx.ReadTimeout("no byte within the time-out", request=self._request) from None
                if chunk is None:
                    return
                yield chunk

        async def aclose(self) -> None:
            await self._conversation.leave()

    class Transport(httpx.AsyncBaseTransport):  # type: ignore[misc,name-defined]
        async def handle_async_request(self, request: Any) -> Any:  # noqa: ANN401
            body = b"".join([chunk async for chunk in request.stream])
            conversation = Conversation(app, scope_of(request, port), body)
            timeout_s = request.extensions.get("timeout", {}).get("read")
            try:
                async with asyncio.timeout(timeout_s):
                    head = await conversation.head()
            except TimeoutError:
                await conversation.leave()
                raise httpx.ReadTimeout("no answer within the time-out", request=request) from None
            except BaseException:
                await conversation.leave()
                raise
            return httpx.Response(
                int(head["status"]),
                headers=list(head.get("headers", [])),
                stream=Body(conversation, request, timeout_s),
            )

    return Transport()


def scope_of(request: Any, port: int | None) -> dict[str, Any]:  # noqa: ANN401 -- a request of either library
    url = request.url
    path, _, query = url.raw_path.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": url.scheme,
        "path": url.path,
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "server": (url.host, port or url.port or DEFAULT_PORTS.get(url.scheme)),
        "client": CLIENT,
    }
