"""HTTP as clients speak it who are not httpx: raw bytes to a server on loopback."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from starlette.responses import JSONResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from api_shim.wire.http_protocol import HttpProtocol

BODY = json.dumps({"say": "what was asked"}).encode()
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQBAAAAAAIAAAAA\r\n"
"""As the JDK's HttpClient and `curl --http2` send it with every plain-text request."""
Speak = Callable[[bytes], Awaitable[bytes]]


async def mirror(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers what it was sent; under /stream, in pieces of unknown number."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if scope["path"] == "/stream":

        async def pieces() -> AsyncIterator[bytes]:
            for piece in (b"one ", b"two ", b"three"):
                yield piece
                await asyncio.sleep(0)

        await StreamingResponse(pieces())(scope, receive, send)
        return
    names = sorted(name.decode() for name, _ in scope["headers"])
    await JSONResponse({"method": scope["method"], "body": body.decode(), "names": names})(
        scope, receive, send
    )


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[str, int]]:
    config = uvicorn.Config(mirror, http=HttpProtocol, ws="none", lifespan="off", log_level="error", port=0)
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 -- uvicorn has no event for it
        await asyncio.sleep(0.005)
    yield server.servers[0].sockets[0].getsockname()[:2]
    server.should_exit = True
    await running


def exchanged(*packets: bytes) -> bytes:
    """What comes back until the server closes; the last packet must ask it to."""

    async def story() -> bytes:
        async with listening() as address, asyncio.timeout(20):
            reader, writer = await asyncio.open_connection(*address)
            for packet in packets:
                writer.write(packet)
                await writer.drain()
                await asyncio.sleep(0.02)
            heard = await reader.read()
            writer.close()
            return heard

    return asyncio.run(story())


def answers(heard: bytes) -> list[Any]:
    """The bodies of JSON answers that state their length, one after the other."""
    found = []
    while heard:
        head, _, rest = heard.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK"), head
        (length,) = [int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:")]
        found.append(json.loads(rest[:length]))
        heard = rest[length:]
    return found


def post(extra: bytes = b"", *, close: bool = True, body: bytes = BODY) -> bytes:
    ending = b"connection: close\r\n" if close else b""
    return (
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n" % len(body) + extra + ending + b"\r\n" + body
    )


OFFER = post(H2C, close=False)
LAST = b"GET /last HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


@pytest.mark.parametrize(
    "packets",
    [
        (OFFER + LAST,),
        (OFFER, LAST),
        (OFFER[: -len(BODY)], OFFER[-len(BODY) :], LAST),
        (OFFER[:40], OFFER[40:-10], OFFER[-10:], LAST),
        (OFFER[:-10], OFFER[-10:] + LAST),
        (post(close=False) + OFFER + LAST,),
    ],
    ids=["one packet", "two packets", "head and body apart", "in pieces", "body cut", "pipelined"],
)
def test_a_request_that_offers_http2_is_answered_with_its_body(packets: tuple[bytes, ...]) -> None:
    *asked, last = answers(exchanged(*packets))
    assert [answer["body"].encode() for answer in asked] == [BODY] * len(asked)
    assert asked[-1]["method"] == "POST"
    assert asked[-1]["names"] == ["content-length", "host"], "the offer is not passed on"
    assert last["method"] == "GET"


def test_an_offer_with_a_chunked_body_and_one_without_a_body_are_answered() -> None:
    chunked = (
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n" + H2C + b"\r\n5\r\nhello\r\n0\r\n\r\n"
    )
    bare = b"GET / HTTP/1.1\r\nhost: x\r\n" + H2C + b"\r\n"
    first, second, _ = answers(exchanged(chunked, bare, LAST))
    assert (first["body"], second["body"]) == ("hello", "")


def test_a_websocket_that_nobody_serves_gets_an_answer_and_a_tunnel_a_refusal() -> None:
    offer = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close, upgrade\r\nupgrade: websocket\r\n\r\n"
    (answer,) = answers(exchanged(offer))
    assert answer["names"] == ["connection", "host"]
    assert exchanged(b"CONNECT example:443 HTTP/1.1\r\nhost: x\r\n\r\n").startswith(b"HTTP/1.1 400")


def test_http_1_0_gets_a_stream_without_chunks_that_ends_with_the_connection() -> None:
    head, _, body = exchanged(b"GET /stream HTTP/1.0\r\n\r\n").partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert body == b"one two three"


def test_http_1_0_gets_an_answer_of_known_length_as_it_is() -> None:
    (answer,) = answers(exchanged(b"POST / HTTP/1.0\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY))
    assert answer["body"].encode() == BODY


def test_http_1_1_still_gets_chunks() -> None:
    head, _, body = exchanged(b"GET /stream HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").partition(
        b"\r\n\r\n"
    )
    assert b"transfer-encoding: chunked" in head
    assert body == b"4\r\none \r\n4\r\ntwo \r\n5\r\nthree\r\n0\r\n\r\n"
