"""The network that an asyncio program sees in virtual time: names, hosts, and connections without sockets.

It is met where every asyncio client meets the real one: at the loop's `getaddrinfo`, `sock_connect` and
`create_connection`. Nothing outside is ever reached.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from functools import partial
from typing import Any, NamedTuple

from api_shim.clocks.clock import wake_at
from api_shim.clocks.virtual_loop import VirtualLoop
from api_shim.rehearsal.app_cpu import AppCpu, NoCpu
from api_shim.rehearsal.connection import End, QuietSocket, VirtualConnection
from api_shim.rehearsal.machines import MACHINE, VISIT, Machine
from api_shim.rehearsal.route import Course, Route
from api_shim.rehearsal.wire_exchange import WireExchange
from sim.network import Network
from sim.network.keep_alive import KeepAlive
from sim.time.streams import stream

NO_CPU = NoCpu()
CLIENT = ("198.18.255.1", 49152)
"""The address that every client seems to have."""
EXCHANGE: ContextVar[WireExchange | None] = ContextVar("EXCHANGE", default=None)
"""That a server is working on."""


class Host(NamedTuple):
    """A server under some name, on a machine."""

    machine: Machine
    make_protocol: Callable[[], asyncio.Protocol]
    cpu: AppCpu


class VirtualNetwork:
    def __init__(self, network: Network, seed: int, app: Machine, app_cpu: AppCpu) -> None:
        """`app` is whoever has said no name for itself."""
        self.app = app
        self.app_cpu = app_cpu
        self.seen: list[WireExchange] = []
        """All exchanges, in the order of their beginning."""
        self.unreachable: dict[str, int] = {}
        """How often somebody wanted to reach what is outside, by name."""
        self._network = network
        self._seed = seed
        self._hosts: dict[str, Host] = {}
        self._addresses: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._routes: dict[tuple[str, str], Route] = {}

    def listen(self, name: str, host: Host) -> None:
        self._hosts[name] = host

    def address(self, name: str) -> str:
        """Of a name, or the address that it is. Raises OSError where there is no such host here."""
        if name in self._names:
            return name
        self.host(name)
        if name not in self._addresses:
            number = len(self._addresses) + 1
            self._addresses[name] = address = f"198.18.{number // 256}.{number % 256}"  # RFC 2544's
            self._names[address] = name
        return self._addresses[name]

    def host(self, name_or_address: str) -> tuple[str, Host]:
        """(name, host). Raises OSError."""
        name = self._names.get(name_or_address, name_or_address)
        if name not in self._hosts:
            self.unreachable[name] = self.unreachable.get(name, 0) + 1
            raise OSError(
                errno.ENETUNREACH,
                f"{name} cannot be reached: in virtual time there is nothing outside; "
                f"there are {', '.join(self._hosts)}",
            )
        return name, self._hosts[name]

    def course(self, client: Machine, server_name: str, now_ps: int) -> Course:
        key = client.name, server_name
        if key not in self._routes:
            a, b = client.place, self._hosts[server_name].machine.place
            path = self._network.path_between(a, b)
            rng = stream(self._seed, 0, f"rehearsal/{client.name}/{server_name}")
            keep_alive: KeepAlive = self._network.keep_alive(a)
            self._routes[key] = Route(path, rng, keep_alive, self._network.wire)
        return Course(self._routes[key], now_ps)

    def cpu_of(self, machine: Machine) -> AppCpu:
        return self.app_cpu if machine.kind == "app" else NO_CPU


class RehearsalLoop(VirtualLoop):
    """A virtual loop whose connections are those of a `VirtualNetwork`, which is given it before it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.network: VirtualNetwork
        self.cpu_clock: Callable[[], int] | None = None
        """Of this thread, in ns: where the application's work is measured."""
        self._connected: dict[int, tuple[str, int, Course, int]] = {}
        """By descriptor: sockets that `sock_connect` has connected, and whose transport is still to come."""
        self._quiet = socket.socketpair()
        """Nobody ever writes to them."""

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
        name, course, began_ps = await self._call(str(address[0]))
        self._connected[sock.fileno()] = name, int(address[1]), course, began_ps

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
            name, port, course, began_ps = self._connected.pop(sock.fileno())
            sock.close()
        else:
            name, course, began_ps = await self._call(host or "localhost")
        return self._connect(protocol_factory, name, port or 0, course, began_ps)

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

    async def _call(self, host: str) -> tuple[str, Course, int]:
        """(name, connection, when it was begun), when it stands."""
        network, machine = self.network, MACHINE.get() or self.network.app
        name, _ = network.host(host)
        began_ps = network.cpu_of(machine).leaves_ps(self.timeline.now)
        course = network.course(machine, name, began_ps)
        if course.connected_ps > self.timeline.now:
            connected = self.create_future()
            wake_at(self.timeline, course.connected_ps, partial(_set, connected))
            await connected
        return name, course, began_ps

    def _connect(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        name: str,
        port: int,
        course: Course,
        began_ps: int,
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        network, machine = self.network, MACHINE.get() or self.network.app
        _, host = network.host(name)
        own, address, fd = CLIENT, (network.address(name), port), self._quiet[0].fileno()
        client = End(self, network.cpu_of(machine), QuietSocket(fd, own, address))
        server = End(self, host.cpu, QuietSocket(fd, address, own))
        base = Context()
        base.run(MACHINE.set, host.machine)
        connection = VirtualConnection(
            client, server, course, name, began_ps, network.seen, lambda seen: _context(host.machine, seen)
        )
        answering = host.make_protocol()
        server.attach(answering, base, connection.server_sends, connection.server_closes)
        base.run(answering.connection_made, server)
        protocol = protocol_factory()
        client.attach(protocol, copy_context(), connection.client_sends, connection.client_closes)
        protocol.connection_made(client)
        return client, protocol

    # The application's own work

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:  # type: ignore[override]  # noqa: ANN401
        if self.cpu_clock is not None and self._is_the_app(context):
            return super().call_soon(self._measured, callback, *args, context=context)
        return super().call_soon(callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Any,  # noqa: ANN401
        *args: Any,  # noqa: ANN401
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        if self.cpu_clock is not None and self._is_the_app(context):
            return super().call_at(when, self._measured, callback, *args, context=context)
        return super().call_at(when, callback, *args, context=context)

    def _is_the_app(self, context: Context | None) -> bool:
        machine = MACHINE.get() if context is None else context.get(MACHINE)
        return machine is not None and machine.kind == "app"

    def _measured(self, callback: Callable[..., object], *args: object) -> None:
        assert self.cpu_clock is not None
        began_ns = self.cpu_clock()
        try:
            callback(*args)
        finally:
            self.network.app_cpu.took(self.timeline.now, self.cpu_clock() - began_ns)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _context(machine: Machine, seen: WireExchange) -> Context:
    """In which a server works on an exchange."""
    context = Context()
    context.run(MACHINE.set, machine)
    context.run(VISIT.set, seen.visit)
    context.run(EXCHANGE.set, seen)
    return context
