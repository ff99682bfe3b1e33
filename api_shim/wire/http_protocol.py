"""uvicorn's HTTP with httptools, and what it lacks: one write a round, HTTP/1.0, offers of HTTP/2."""

import asyncio
from array import array
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api_shim.wire.one_write import OneWrite

OFFERS = {b"upgrade", b"http2-settings"}
"""Headers that go with an offer, and their names within `Connection`."""


class HttpProtocol(HttpToolsProtocol):
    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 -- uvicorn's own
        super().__init__(*args, **kwargs)
        self.parser = _Parser(self)
        self.declined = False
        """What the client offers at this moment, if it offers anything."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(cast("asyncio.Transport", OneWrite(transport, self.loop)))

    def on_headers_complete(self) -> None:
        offered = self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"
        to_websocket = offered and self._should_upgrade()
        self.declined = offered and not to_websocket
        if self.declined:
            return  # the request comes again, as it would be without the offer
        super().on_headers_complete()
        if not to_websocket and self.cycle.scope["http_version"] == "1.0":
            _end_with_the_connection(self.cycle)

    def on_message_complete(self) -> None:
        if not self.declined and self.cycle is not None:
            super().on_message_complete()

    def decline(self, rest: bytes) -> None:
        """Begin the request again without its offer; `rest` is what follows its head."""
        head = self._head_without_offer()
        self.parser = _Parser(self)  # the one before takes the connection for closed, or handed over
        self.parser.feed_data(head + rest)

    def _head_without_offer(self) -> bytes:
        lines = [
            self.parser.get_method() + b" " + self.url + b" HTTP/" + self.parser.get_http_version().encode()
        ]
        for name, value in self.headers:
            if name == b"connection":
                kept = [one for one in value.split(b",") if one.strip().lower() not in OFFERS]
                lines += [b"connection: " + b",".join(kept)] if kept else []
            elif name not in OFFERS:
                lines.append(name + b": " + value)
        return b"\r\n".join([*lines, b"\r\n"])


class _Parser(httptools.HttpRequestParser):
    """Reads on where a client offers to go on in another protocol, such as `Upgrade: h2c`.

    httptools takes the offer for granted: it skips the body, and what follows the head is no HTTP to it. A
    server may decline by answering as if nothing had been said (RFC 9110, 7.8).
    """

    def __init__(self, protocol: HttpProtocol) -> None:
        super().__init__(protocol)
        self.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self._protocol = protocol

    def feed_data(self, data: "bytes | bytearray | memoryview[int] | array[int]") -> None:
        try:
            super().feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            if self.get_method() == b"CONNECT" or not self._protocol.declined:
                raise
            (parsed,) = offer.args
            self._protocol.decline(bytes(data[parsed:]))


def _end_with_the_connection(cycle: RequestResponseCycle) -> None:
    """HTTP/1.0 knows no chunks: an answer of unknown length lasts until the connection closes.

    uvicorn sends chunks unless it knows the length, so it is told that of each piece as it comes.
    """
    send, unmeasured = cycle.send, False

    async def plain(message: Any) -> None:  # noqa: ANN401 -- of uvicorn's types
        nonlocal unmeasured
        if message["type"] == "http.response.start":
            unmeasured = all(name.lower() != b"content-length" for name, _ in message["headers"])
            if unmeasured:
                cycle.chunked_encoding = False
        elif unmeasured:
            cycle.expected_content_length = len(message.get("body", b""))
        await send(message)

    cycle.send = plain  # type: ignore[method-assign]  # it is a method that the application calls by this name
