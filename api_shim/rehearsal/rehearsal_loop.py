"""An asyncio loop in virtual time whose connections are those of a `VirtualNetwork`.

It is met where every asyncio client meets the real one: at `getaddrinfo`, `sock_connect` and
`create_connection`.
"""

import asyncio
import socket
import ssl
from asyncio.tasks import _enter_task, _leave_task
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from functools import partial
from heapq import heappop
from typing import Any

from api_shim.clocks.clock import wake_at
from api_shim.clocks.virtual_loop import VirtualLoop
from api_shim.rehearsal.connection import End, QuietSocket, VirtualConnection
from api_shim.rehearsal.machines import MACHINE
from api_shim.rehearsal.virtual_network import Dialled, VirtualNetwork, context_of

CLIENT = ("198.18.255.1", 49152)
"""The address that every client seems to have."""


class RehearsalLoop(VirtualLoop):
    """A virtual loop whose connections are those of a `VirtualNetwork`, which is given it before it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.network: VirtualNetwork
        self.cpu_clock: Callable[[], int] | None = None
        """Of this thread, in ns: where the application's work is measured."""
        self._working_since_ns = 0
        self._connected: dict[int, tuple[int, Dialled]] = {}
        """By descriptor: sockets that `sock_connect` has connected, and whose transport is still to come."""
        self._quiet = socket.socketpair()
        """Nobody ever writes to them."""

    @property
    def quiet_descriptor(self) -> int:
        """Of a socket from which nothing ever comes."""
        return self._quiet[0].fileno()

    def close(self) -> None:
        for end in self._quiet:
            end.close()
        super().close()

    # Names

    async def getaddrinfo(  # type: ignore[override]
        self,
        host: str | bytes | None,
        port: str | int | None,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002 -- asyncio's
        proto: int = 0,
        flags: int = 0,
    ) -> list[tuple[Any, ...]]:
        del type, proto, flags
        name = host.decode() if isinstance(host, bytes) else host  # anyio's, encoded for IDNA
        address = self.network.address(name or "localhost")
        if family == socket.AF_INET6:
            raise socket.gaierror(socket.EAI_NONAME, "hosts have IPv4 addresses here")
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, int(port or 0)))]

    # Connections

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:  # noqa: ANN401 -- asyncio's
        """As aiohttp does it; the socket itself never learns of it."""
        self._connected[sock.fileno()] = int(address[1]), await self._dialled(str(address[0]))

    async def create_connection(  # type: ignore[override]  # without what has no meaning here
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: str | None = None,
        port: int | None = None,
        *,
        ssl: object = None,
        sock: socket.socket | None = None,
        **_options: Any,  # noqa: ANN401 -- asyncio's
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """TLS takes its round trips in the model, and no bytes."""
        del ssl
        if sock is not None:
            port, dialled = self._connected.pop(sock.fileno())
            sock.close()
        else:
            dialled = await self._dialled(host or "localhost")
        protocol = protocol_factory()
        return self.connect(protocol, dialled, port or 0, copy_context()), protocol

    async def start_tls(  # type: ignore[override]
        self,
        transport: asyncio.BaseTransport,
        protocol: asyncio.BaseProtocol,
        sslcontext: ssl.SSLContext,
        **_options: Any,  # noqa: ANN401 -- asyncio's
    ) -> asyncio.BaseTransport:
        del sslcontext
        transport.set_protocol(protocol)
        return transport

    def connect(self, protocol: asyncio.BaseProtocol, dialled: Dialled, port: int, context: Context) -> End:
        """The client's end of a connection that stands. `protocol` hears of it in that context."""
        network, machine = self.network, dialled.host.machine
        address, fd = (network.address(dialled.name), port), self.quiet_descriptor
        client = End(self, network.cpu_of(dialled.client), QuietSocket(fd, CLIENT, address))
        server = End(self, dialled.host.cpu, QuietSocket(fd, address, CLIENT))
        connection = VirtualConnection(
            client,
            server,
            dialled.course,
            dialled.name,
            dialled.began_ps,
            network.seen,
            lambda seen: context_of(machine, seen),
        )
        answering, base = dialled.host.make_protocol(), Context()
        base.run(MACHINE.set, machine)
        server.attach(answering, base, connection.server_sends, connection.server_closes)
        base.run(answering.connection_made, server)
        client.attach(protocol, context, connection.client_sends, connection.client_closes)
        protocol.connection_made(client)
        return client

    async def _dialled(self, host: str) -> Dialled:
        """When the connection stands."""
        dialled = self.network.dial(host, self.timeline.now)
        if dialled.course.connected_ps > self.timeline.now:
            connected = self.create_future()
            wake_at(self.timeline, dialled.course.connected_ps, partial(_set, connected))
            await connected
        return dialled

    # The application's own work

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:  # type: ignore[override]  # noqa: ANN401
        if self.cpu_clock is not None and _is_the_app(context):
            return super().call_soon(self._measured, callback, *args, context=context)
        return super().call_soon(callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Any,  # noqa: ANN401
        *args: Any,  # noqa: ANN401
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        if self.cpu_clock is not None and _is_the_app(context):
            return super().call_at(when, self._measured, callback, *args, context=context)
        return super().call_at(when, callback, *args, context=context)

    def _measured(self, callback: Callable[..., object], *args: object) -> None:
        assert self.cpu_clock is not None
        self._working_since_ns = self.cpu_clock()
        try:
            callback(*args)
        finally:
            self._note_work()

    def _note_work(self) -> None:
        """What the application has worked since it was last noted."""
        if self.cpu_clock is not None:
            until_ns = self.cpu_clock()
            self.network.app_cpu.took(self.timeline.now, until_ns - self._working_since_ns)
            self._working_since_ns = until_ns

    # Calls that block

    def run_others_until(self, is_done: Callable[[], bool]) -> None:
        """The application blocks its event loop, this one: everybody else goes on, until `is_done`.

        Called from within a callback of the application. What it has to do meanwhile waits, as it does when a
        real event loop is blocked.
        """
        self._note_work()
        task = asyncio.current_task(self)
        if task is not None:
            _leave_task(self, task)
        waiting: list[asyncio.Handle] = []
        had = len(self._handles)
        try:
            while not is_done():
                self._go_round(waiting)
        finally:
            self._handles.extendleft(reversed(waiting))
            # asyncio's own round, in which this is a step, goes on to take as many as it found.
            for _ in range(had - len(self._handles)):
                nothing = asyncio.Handle(_nothing, (), self)
                nothing.cancel()
                self._handles.append(nothing)
            if task is not None:
                _enter_task(self, task)
            if self.cpu_clock is not None:
                self._working_since_ns = self.cpu_clock()

    @property
    def _handles(self) -> deque[asyncio.Handle]:
        """What is to be called in the next round, by the name that asyncio has for it."""
        ready: deque[asyncio.Handle] = self._ready  # type: ignore[attr-defined]
        return ready

    def _go_round(self, waiting: list[asyncio.Handle]) -> None:
        """One round as asyncio's own, with the application's callbacks put to those that wait."""
        ready = self._handles
        self._put_aside(waiting)
        self._process_events(self._never_sleeps.select(0 if ready else None))  # type: ignore[attr-defined]
        timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        while timers and timers[0].when() <= self.time():
            timer = heappop(timers)
            timer._scheduled = False  # type: ignore[attr-defined]  # noqa: SLF001 -- as asyncio's own round does
            ready.append(timer)
        self._put_aside(waiting)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()  # noqa: SLF001 -- the same

    def _put_aside(self, waiting: list[asyncio.Handle]) -> None:
        ready = self._handles
        for _ in range(len(ready)):
            handle = ready.popleft()
            (waiting if _is_the_app(_context_of_handle(handle)) else ready).append(handle)

    def job_waits(self) -> None:
        """A thread that the clock has waited for waits for the clock."""
        self._never_sleeps.jobs -= 1

    def job_works(self) -> None:
        self._never_sleeps.jobs += 1


def _is_the_app(context: Context | None) -> bool:
    machine = MACHINE.get() if context is None else context.get(MACHINE)
    return machine is not None and machine.kind == "app"


def _context_of_handle(handle: asyncio.Handle) -> Context:
    context: Context = handle._context  # type: ignore[attr-defined]  # noqa: SLF001 -- public from 3.12 on
    return context


def _nothing() -> None: ...


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
