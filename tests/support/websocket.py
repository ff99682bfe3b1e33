"""A client for WebSockets over a real socket: a frame at a time, and what the server says of a handshake."""

import json
import socket
import time  # noqa: TID251 -- real sockets, real time
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Event,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.extensions import PerMessageDeflate


class WebSocketClient:
    def __init__(self, url: str, key: str | None, timeout_s: float = 30.0, origin: str | None = None) -> None:
        """`status` is 101 where the server has taken it, and then frames can be sent."""
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._socket = socket.create_connection((parts.hostname, parts.port or 80), timeout_s)
        self._connection = WSConnection(ConnectionType.CLIENT)
        self._events: list[Event] = []
        self._text = ""
        self.status = 0
        self.refusal = b""
        self.closed: int | None = None
        """The code that the server closed with."""
        headers = [] if key is None else [(b"authorization", f"Bearer {key}".encode())]
        if origin is not None:
            headers.append((b"origin", origin.encode()))
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        asked = Request(
            host=parts.netloc, target=target, extra_headers=headers, extensions=[PerMessageDeflate()]
        )
        self._send(asked)
        while not self.status or (self.status != 101 and not self._refused):
            self._take(self._event())

    _refused = False

    def send(self, frame: Any) -> None:
        self._send(TextMessage(data=frame if isinstance(frame, str) else json.dumps(frame)))

    def frame(self) -> Any:
        """The next one; None when the server has closed."""
        while self.closed is None:
            event = self._event()
            if isinstance(event, TextMessage):
                self._text += event.data
                if event.message_finished:
                    text, self._text = self._text, ""
                    return json.loads(text)
            else:
                self._take(event)
        return None

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send(self, event: Event) -> None:
        self._socket.sendall(self._connection.send(event))

    def _event(self) -> Event:
        while not self._events:
            data = self._socket.recv(65536)
            self._connection.receive_data(data or None)
            self._events = list(self._connection.events())
        return self._events.pop(0)

    def _take(self, event: Event) -> None:
        if isinstance(event, AcceptConnection):
            self.status = 101
        elif isinstance(event, RejectConnection):
            self.status = event.status_code
            self._refused = not event.has_body
        elif isinstance(event, RejectData):
            self.refusal += event.data
            self._refused = event.body_finished
        elif isinstance(event, CloseConnection):
            self.closed = event.code


def seconds() -> float:
    return time.monotonic()


def pause() -> None:
    """Between two looks at what takes its time: who looks all the time takes the processor from it."""
    time.sleep(0.02)
