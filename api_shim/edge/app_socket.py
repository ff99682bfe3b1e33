"""A WebSocket to an application over its UNIX socket."""

import asyncio
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, Self

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from api_shim.edge.app_connection import FINAL, HOP_BY_HOP, READ_BYTES, AppLostError, Header

TOO_BIG = 1009
"""The code for a message that is (RFC 6455, 7.4.1)."""
MOST_MESSAGE = 16 * 2**20
"""Letters or bytes of the application: what uvicorn takes of others where nothing else is stated."""
GONE = 1006
"""The code of a connection that ended without a word (RFC 6455, 7.1.5)."""
OF_THE_HANDSHAKE = {b"host", b"sec-websocket-key", b"sec-websocket-version", b"sec-websocket-protocol"}
OF_THE_HANDSHAKE |= {b"sec-websocket-extensions"}
"""Said anew on each connection."""


class RefusedHandshakeError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.status = status


class Closing(NamedTuple):
    code: int
    reason: str


class AppSocket:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._websocket = WSConnection(ConnectionType.CLIENT)
        self._pieces: list[Any] = []
        """Of a message that is not whole, text or bytes."""
        self._message_size = 0
        self._events: deque[Event] = deque()
        self.subprotocol: str | None = None

    @classmethod
    async def open(
        cls, socket: Path, target: str, host: str, headers: Iterable[Header], subprotocols: list[str]
    ) -> Self:
        """Raises AppLostError and RefusedHandshakeError."""
        left_out = HOP_BY_HOP | OF_THE_HANDSHAKE
        passed = [(name, value) for name, value in headers if name.lower() not in left_out]
        try:
            opened = cls(*await asyncio.open_unix_connection(str(socket)))
        except OSError as error:
            raise AppLostError(str(error)) from None
        await opened._send(Request(host=host, target=target, extra_headers=passed, subprotocols=subprotocols))
        event = await opened._event()
        if isinstance(event, RejectConnection) and event.status_code in FINAL:
            opened.drop()
            raise RefusedHandshakeError(event.status_code)
        if not isinstance(event, AcceptConnection):
            opened.drop()
            raise AppLostError("it does not speak WebSocket")
        opened.subprotocol = event.subprotocol
        return opened

    async def receive(self) -> str | bytes | Closing:
        """A whole message; the end is one, too."""
        while True:
            try:
                event = await self._event()
            except AppLostError:
                return Closing(GONE, "")
            if isinstance(event, CloseConnection):
                return Closing(int(event.code), event.reason or "")
            if isinstance(event, TextMessage | BytesMessage):
                whole = self._add(event)
                if whole is not None:
                    return whole
            elif isinstance(event, Ping):
                await self._send(event.response())

    def _add(self, event: TextMessage | BytesMessage) -> str | bytes | Closing | None:
        """A piece of a message; None where it is not the last one."""
        self._pieces.append(event.data)
        self._message_size += len(event.data)
        if self._message_size > MOST_MESSAGE:
            return Closing(TOO_BIG, "")
        if not event.message_finished:
            return None
        pieces, self._pieces, self._message_size = self._pieces, [], 0
        return "".join(pieces) if isinstance(event, TextMessage) else b"".join(pieces)

    async def send(self, message: str | bytes) -> None:
        """Raises AppLostError."""
        await self._send(TextMessage(message) if isinstance(message, str) else BytesMessage(message))

    async def close(self, closing: Closing) -> None:
        code = 1000 if closing.code == GONE else closing.code
        await self._send(CloseConnection(code=code, reason=closing.reason))

    def drop(self) -> None:
        self._writer.close()

    async def _send(self, event: Event) -> None:
        try:
            self._writer.write(self._websocket.send(event))
            await self._writer.drain()
        except (OSError, LocalProtocolError) as error:
            raise AppLostError(str(error)) from None

    async def _event(self) -> Event:
        while True:
            if self._events:
                return self._events.popleft()
            try:
                data = await self._reader.read(READ_BYTES)
                if not data:
                    raise AppLostError("it closed the connection")
                self._websocket.receive_data(data)
                self._events += self._websocket.events()
            except (OSError, RemoteProtocolError) as error:
                raise AppLostError(str(error)) from None
