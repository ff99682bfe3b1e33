"""One request to an application over its UNIX socket."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Self

import h11

Header = tuple[bytes, bytes]
HOP_BY_HOP = {
    b"connection",
    b"keep-alive",
    b"te",
    b"trailer",
    b"upgrade",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"proxy-connection",
    b"expect",
}
"""Of one connection (RFC 9110, 7.6.1), hence not passed on. Lengths and codings of bodies are."""
READ_BYTES = 2**16
CLOSED = "it closed the connection"
WITHOUT_BODY = (204, 304)
"""Statuses (RFC 9110, 6.4.1)."""
FINAL = range(200, 600)
"""Statuses (RFC 9110, 15)."""


class AppLostError(Exception):
    """The application has closed the connection, or does not speak HTTP."""


class UnpassableError(Exception):
    """The request is none of HTTP; the message says why."""


class AppConnection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT)

    @classmethod
    async def open(cls, socket: Path) -> Self:
        """Raises AppLostError."""
        try:
            return cls(*await asyncio.open_unix_connection(str(socket)))
        except OSError as error:
            raise AppLostError(str(error)) from None

    async def ask(self, method: str, target: bytes, headers: Iterable[Header]) -> None:
        """The body follows, where the headers announce one. Raises AppLostError and UnpassableError."""
        passed = [header for header in headers if header[0].lower() not in HOP_BY_HOP]
        try:
            request = h11.Request(method=method, target=target, headers=[*passed, (b"connection", b"close")])
        except h11.LocalProtocolError as error:
            raise UnpassableError(str(error)) from None
        await self._send(request)

    async def write(self, data: bytes) -> None:
        await self._send(h11.Data(data=data))

    async def end(self) -> None:
        await self._send(h11.EndOfMessage())

    async def head(self) -> h11.Response:
        """Without the length of a body that does not come. Raises AppLostError."""
        while not isinstance(event := await self._event(), h11.Response):
            pass  # a provisional one
        if event.status_code not in FINAL:
            raise AppLostError(f"{event.status_code} is no status of an answer")
        if event.status_code not in WITHOUT_BODY:
            return event
        left = [header for header in event.headers if header[0] != b"content-length"]
        return h11.Response(status_code=event.status_code, headers=left)

    async def body(self) -> AsyncIterator[bytes]:
        """Raises AppLostError where it breaks off."""
        while not isinstance(event := await self._event(), h11.EndOfMessage):
            if isinstance(event, h11.Data):
                yield bytes(event.data)

    def close(self) -> None:
        self._writer.close()

    async def _send(self, event: h11.Event) -> None:
        try:
            data = self._http.send(event)
            if data:
                self._writer.write(data)
                await self._writer.drain()
        except (OSError, h11.ProtocolError) as error:
            raise AppLostError(str(error)) from None

    async def _event(self) -> h11.Event:
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(READ_BYTES))
        except (OSError, h11.ProtocolError) as error:
            raise AppLostError(CLOSED if self._reader.at_eof() else str(error)) from None
        if not isinstance(event, h11.Event) or isinstance(event, h11.ConnectionClosed):
            raise AppLostError(CLOSED)
        return event
