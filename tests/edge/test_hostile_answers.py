"""Applications that speak HTTP and WebSocket as they like: others have written them."""

import asyncio
import base64
import hashlib
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from api_shim.edge.app_connection import AppConnection, AppLostError
from api_shim.edge.app_socket import TOO_BIG, AppSocket, Closing, RefusedHandshakeError
from api_shim.edge.health import answers

T = TypeVar("T")


def with_app(folder: Path, answer: bytes, work: Coroutine[Any, Any, T]) -> T:
    """Whatever `work` makes of an application at `folder/http` that answers each request so."""

    async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        key = next((line[19:] for line in head.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key")), b"")
        accept = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()  # RFC 6455, 4.2.2
        writer.write(answer.replace(b"ACCEPT", base64.b64encode(accept)))
        writer.close()

    async def served() -> T:
        async with await asyncio.start_unix_server(answering, folder / "http"):
            async with asyncio.timeout(10):
                return await work

    return asyncio.run(served())


@pytest.mark.parametrize(
    ("answer", "there"), [(b"HTTP/1.1 404 no", True), (b"a" * 300_000, False), (b"HTT", False), (b"", False)]
)
def test_it_is_there_if_it_begins_to_answer_in_http(tmp_path: Path, answer: bytes, *, there: bool) -> None:
    assert with_app(tmp_path, answer, answers(tmp_path / "http", 5)) is there


async def head(address: Path) -> list[tuple[bytes, bytes]]:
    connection = await AppConnection.open(address)
    try:
        await connection.ask("GET", b"/", [(b"host", b"app")])
        return list((await connection.head()).headers)
    finally:
        connection.close()


@pytest.mark.parametrize("status", [100, 101, 199, 600, 999])
def test_a_status_that_no_answer_has_is_none(tmp_path: Path, status: int) -> None:
    answer = b"HTTP/1.1 %d x\r\ncontent-length: 0\r\n\r\n" % status
    with pytest.raises(AppLostError):
        with_app(tmp_path, answer, head(tmp_path / "http"))


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 x\r\ncontent-len"])
def test_who_closes_the_connection_is_told_in_our_words(tmp_path: Path, answer: bytes) -> None:
    with pytest.raises(AppLostError, match=r"^it closed the connection$"):
        with_app(tmp_path, answer, head(tmp_path / "http"))


@pytest.mark.parametrize(("status", "left"), [(200, [b"x", b"content-length"]), (204, [b"x"]), (304, [b"x"])])
def test_what_has_no_body_has_no_length(tmp_path: Path, status: int, left: list[bytes]) -> None:
    answer = b"HTTP/1.1 %d x\r\nx: y\r\ncontent-length: 2\r\n\r\nok" % status
    assert [name for name, _ in with_app(tmp_path, answer, head(tmp_path / "http"))] == left


async def message(address: Path) -> str | bytes | Closing:
    socket = await AppSocket.open(address, "/", "app", [], [])
    try:
        return await socket.receive()
    finally:
        socket.drop()


ACCEPTED = (
    b"HTTP/1.1 101 x\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ACCEPT\r\n\r\n"
)


@pytest.mark.parametrize(
    ("frames", "heard"),
    [
        (b"\x01\x05hello" + b"\x80\x05there", "hellothere"),
        (b"\x01\x05hello" + b"\x00\x05there" * 100, Closing(TOO_BIG, "")),
        (b"\x02\x05hello" + b"\x80\x06there!", Closing(TOO_BIG, "")),
    ],
    ids=["whole", "endless", "one byte too many"],
)
def test_a_message_has_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frames: bytes, heard: object
) -> None:
    monkeypatch.setattr("api_shim.edge.app_socket.MOST_MESSAGE", 10)
    assert with_app(tmp_path, ACCEPTED + frames, message(tmp_path / "http")) == heard


@pytest.mark.parametrize(("status", "error"), [(403, RefusedHandshakeError), (999, AppLostError)])
def test_a_handshake_is_refused_with_a_status_of_http(
    tmp_path: Path, status: int, error: type[Exception]
) -> None:
    answer = b"HTTP/1.1 %d x\r\ncontent-length: 0\r\n\r\n" % status
    with pytest.raises(error):
        with_app(tmp_path, answer, message(tmp_path / "http"))
