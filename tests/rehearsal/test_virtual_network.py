"""Clients of every kind over connections without sockets."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from typing import Any, Literal

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from api_shim.rehearsal.app_cpu import AppCpu, MeasuredCpu, StatedCpu
from api_shim.rehearsal.application import AppServer
from api_shim.rehearsal.blocking import Blocking, VirtualSocket
from api_shim.rehearsal.machines import MACHINE, VISIT, Machine
from api_shim.rehearsal.rehearsal_loop import RehearsalLoop
from api_shim.rehearsal.virtual_network import Host, VirtualNetwork
from sim.network import Network
from sim.network.places import CustomPlace, PlaceSpec
from tests.support.live import scenario

MS = 10**9
NAME = "server.test"


def away(rtt_ms: float) -> CustomPlace:
    return CustomPlace(kind="custom", rtt_ms=rtt_ms)


HERE = away(0)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Back after 5 ms; `/slow` in three pieces, 10 ms apart."""
    assert scope["type"] == "http"
    message = await receive()
    await asyncio.sleep(0.005)
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"x-path", scope["path"].encode())]}
    )
    if scope["path"] == "/slow":
        for piece in (b"a", b"b"):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0.010)
    await send({"type": "http.response.body", "body": message["body"] or b"nothing"})


def run(
    story: Callable[[RehearsalLoop], Coroutine[Any, Any, Any]],
    *,
    client_at: PlaceSpec = HERE,
    server_cpu: AppCpu | None = None,
    keep_alive_s: float = 60,
    app: Any = echo,
    kind: Literal["user", "app"] = "user",
) -> tuple[Any, VirtualNetwork]:
    """With TLS 1.3 in the model, whether or not the client asks for it."""
    loop = RehearsalLoop()
    section = scenario().network.model_copy(update={"tls": "1.3"})
    client = Machine(kind, "client", client_at)
    loop.network = network = VirtualNetwork(Network(section), 1, client, StatedCpu(0))
    server = AppServer(app, keep_alive_s)
    machine = Machine("platform", "server", away(0))
    network.listen(NAME, Host(machine, server.protocol, server_cpu or StatedCpu(0)))

    async def whole() -> Any:
        MACHINE.set(client)
        return await story(loop)

    try:
        return loop.run_until_complete(whole()), network
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(_ended(left))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _ended(tasks: set[asyncio.Task[Any]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)


def test_httpx_pays_the_handshakes_once_and_a_round_trip_each_time() -> None:
    """40 ms to and fro: TCP and TLS take 80, each exchange 40 and the server's 5."""

    async def story(loop: RehearsalLoop) -> list[int]:
        ended = []
        async with httpx.AsyncClient(base_url=f"http://{NAME}") as client:
            for number in range(2):
                VISIT.set(number)
                answer = await client.post("/", content=b"hello")
                assert (answer.status_code, answer.text) == (200, "hello")
                ended.append(loop.timeline.now)
        return ended

    ended, network = run(story, client_at=away(40))
    assert ended == [125 * MS, 170 * MS]
    first, second = network.seen
    assert (first.cold, first.began_ps, first.connected_ps, first.sent_ps) == (True, 0, 80 * MS, 80 * MS)
    assert (first.arrived_ps, first.answered_ps, first.ended_ps) == (100 * MS, 105 * MS, 125 * MS)
    assert (second.cold, second.began_ps, second.arrived_ps) == (False, 125 * MS, 145 * MS)
    assert [(seen.visit, seen.what, seen.status) for seen in network.seen] == [
        (0, "POST /", 200),
        (1, "POST /", 200),
    ]


def test_a_client_for_every_request_pays_the_handshakes_every_time() -> None:
    async def story(loop: RehearsalLoop) -> int:
        for _ in range(2):
            async with httpx.AsyncClient() as client:
                await client.get(f"http://{NAME}/")
        return loop.timeline.now

    ended_ps, network = run(story, client_at=away(40))
    assert ended_ps == 250 * MS
    assert [seen.cold for seen in network.seen] == [True, True]


def test_a_stream_comes_piece_by_piece() -> None:
    async def story(loop: RehearsalLoop) -> list[tuple[int, bytes]]:
        async with httpx.AsyncClient() as client, client.stream("GET", f"http://{NAME}/slow") as answer:
            return [(loop.timeline.now, piece) async for piece in answer.aiter_raw()]

    pieces, network = run(story, client_at=away(40))
    assert pieces == [(125 * MS, b"a"), (135 * MS, b"b"), (145 * MS, b"nothing")]
    (seen,) = network.seen
    assert (seen.first_back_ps, seen.left_ps, seen.ended_ps) == (125 * MS, 125 * MS, 145 * MS)


def test_a_connection_that_the_server_has_closed_meanwhile_is_opened_again() -> None:
    async def story(loop: RehearsalLoop) -> int:
        limits = httpx.Limits(keepalive_expiry=None)
        async with httpx.AsyncClient(limits=limits) as client:
            await client.get(f"http://{NAME}/")
            await asyncio.sleep(3)
            await client.get(f"http://{NAME}/")
        return loop.timeline.now

    _, network = run(story, keep_alive_s=2)
    assert [seen.cold for seen in network.seen] == [True, True]


def test_clients_that_connect_a_socket_of_their_own_are_carried_too() -> None:
    """As aiohttp does: it resolves, makes a socket, connects it, and hands it to the loop."""

    async def story(loop: RehearsalLoop) -> tuple[bytes, int]:
        ((family, kind, proto, _, address),) = await loop.getaddrinfo(NAME, 443)
        sock = socket.socket(family, kind, proto)
        sock.setblocking(False)
        await loop.sock_connect(sock, address)
        reader, writer = await asyncio.open_connection(sock=sock)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer, loop.timeline.now

    (answer, ended_ps), _ = run(story, client_at=away(40))
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert ended_ps == 125 * MS


REQUEST = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


def asked_by_a_blocking_socket(loop: RehearsalLoop) -> tuple[bytes, int]:
    with VirtualSocket() as sock:
        sock.connect((NAME, 80))
        sock.sendall(REQUEST)
        with sock.makefile("rb") as answer:
            return answer.read(), loop.timeline.now


@pytest.fixture
def blocking(monkeypatch: pytest.MonkeyPatch) -> Callable[[RehearsalLoop], None]:
    return lambda loop: monkeypatch.setattr(VirtualSocket, "blocking", Blocking(loop), raising=False)


@pytest.mark.parametrize("in_thread", [False, True])
def test_a_socket_that_blocks_takes_as_long_as_any_other(
    blocking: Callable[[RehearsalLoop], None], *, in_thread: bool
) -> None:
    async def story(loop: RehearsalLoop) -> tuple[bytes, int]:
        blocking(loop)
        if in_thread:
            context = copy_context()
            with ThreadPoolExecutor(1) as threads:
                asked = loop.run_in_executor(threads, context.run, asked_by_a_blocking_socket, loop)
                answered: tuple[bytes, int] = await asked
                return answered
        return asked_by_a_blocking_socket(loop)

    (answer, ended_ps), network = run(story, client_at=away(40), kind="app")
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert ended_ps == 125 * MS
    assert [seen.ended_ps for seen in network.seen] == [125 * MS]


def test_whoever_blocks_the_applications_loop_stops_the_application_and_nobody_else(
    blocking: Callable[[RehearsalLoop], None],
) -> None:
    """It blocks from 0 to 125 ms. Its own timer at 50 ms comes late, another machine's does not."""

    async def story(loop: RehearsalLoop) -> list[tuple[str, int]]:
        blocking(loop)
        seen = []

        async def timer(whose: str) -> None:
            await asyncio.sleep(0.050)
            seen.append((whose, loop.timeline.now))

        other = Context()
        other.run(MACHINE.set, Machine("user", "other", HERE))
        timers = [loop.create_task(timer("app")), loop.create_task(timer("other"), context=other)]
        await asyncio.sleep(0)
        asked_by_a_blocking_socket(loop)
        await asyncio.gather(*timers)
        return seen

    seen, _ = run(story, client_at=away(40), kind="app")
    assert seen == [("other", 50 * MS), ("app", 125 * MS)]


def test_a_blocking_socket_keeps_its_time_out_in_virtual_time(
    blocking: Callable[[RehearsalLoop], None],
) -> None:
    async def story(loop: RehearsalLoop) -> int:
        blocking(loop)
        with VirtualSocket() as sock:
            sock.settimeout(0.030)
            sock.connect((NAME, 80))
            sock.sendall(REQUEST)
            with pytest.raises(TimeoutError):
                sock.recv(100)
        return loop.timeline.now

    ended_ps, _ = run(story, client_at=away(40), kind="app")
    assert ended_ps == 110 * MS


def test_a_blocking_socket_reaches_nothing_outside(blocking: Callable[[RehearsalLoop], None]) -> None:
    async def story(loop: RehearsalLoop) -> None:
        blocking(loop)
        with VirtualSocket() as sock, pytest.raises(OSError, match=r"192\.0\.2\.1 cannot be reached"):
            sock.connect(("192.0.2.1", 80))

    run(story, kind="app")


def test_measured_work_leaves_out_what_the_others_did_while_the_application_blocked(
    blocking: Callable[[RehearsalLoop], None],
) -> None:
    """By a clock that is a millisecond further each time that it is read, and 50 more by the server."""
    reading_ns = 0
    cpu = MeasuredCpu(1.0)

    def read() -> int:
        nonlocal reading_ns
        reading_ns += 10**6
        return reading_ns

    async def busy(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal reading_ns
        reading_ns += 50 * 10**6
        await echo(scope, receive, send)

    async def story(loop: RehearsalLoop) -> None:
        blocking(loop)
        loop.network.app_cpu = cpu
        loop.cpu_clock = read
        await asyncio.sleep(0)
        asked_by_a_blocking_socket(loop)
        loop.cpu_clock = None

    run(story, client_at=away(40), kind="app", app=busy)
    waits = 4  # to connect, to send, for the answer, for its end
    assert cpu.worked_ps == waits * MS


def test_what_comes_while_the_server_still_works_on_what_came_before_waits_for_its_turn() -> None:
    """The head takes 8 ms of CPU, and the body follows it by 1 ms."""

    async def story(loop: RehearsalLoop) -> tuple[bytes, int]:
        reader, writer = await asyncio.open_connection(NAME, 80)
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 4\r\n\r\n")
        await asyncio.sleep(0.001)
        writer.write(b"body")
        answer = await reader.read()
        writer.close()
        return answer, loop.timeline.now

    (answer, ended_ps), _ = run(story, server_cpu=StatedCpu(8))
    assert answer.endswith(b"4\r\nbody\r\n0\r\n\r\n")
    assert ended_ps == 13 * MS


def test_what_is_outside_cannot_be_reached_and_is_named() -> None:
    async def story(_loop: RehearsalLoop) -> None:
        async with httpx.AsyncClient() as client:
            with pytest.raises(httpx.ConnectError, match=r"example\.org cannot be reached: in virtual time"):
                await client.get("http://example.org/")

    _, network = run(story)
    assert network.unreachable == {"example.org": 1}


def test_a_server_works_on_one_request_at_a_time() -> None:
    """8 ms each for two that come together: the second waits for the first."""

    async def story(loop: RehearsalLoop) -> list[int]:
        async def one() -> int:
            async with httpx.AsyncClient() as client:
                await client.get(f"http://{NAME}/")
                return loop.timeline.now

        return list(await asyncio.gather(one(), one()))

    ended, _ = run(story, server_cpu=StatedCpu(8))
    assert sorted(ended) == [13 * MS, 21 * MS]


def test_measured_work_delays_what_leaves_after_it() -> None:
    cpu = MeasuredCpu(slowdown=2.0)
    assert cpu.begins_ps(100) == 100
    cpu.took(100, real_ns=1)
    assert cpu.leaves_ps(100) == 100 + 2000
    cpu.took(100, real_ns=1)  # another callback of the same instant
    assert cpu.begins_ps(150) == 100 + 4000
    assert cpu.leaves_ps(9000) == 9000
    assert cpu.worked_ps == 4000
