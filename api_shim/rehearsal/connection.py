"""A TCP connection without a socket: two transports of asyncio, and bytes that take simulated time between.

The protocols on both ends are real: uvicorn's here, those of httpx, openai or aiohttp there. What they write
in one instant leaves together. There is no backpressure: a fast writer is never held up.
"""

import asyncio
import socket
from collections.abc import Callable
from contextvars import Context
from typing import Protocol

from api_shim.clocks.clock import wake_at
from api_shim.rehearsal.app_cpu import AppCpu
from api_shim.rehearsal.machines import VISIT
from api_shim.rehearsal.route import Course
from api_shim.rehearsal.wire_exchange import WireExchange
from sim.time.timeline import Timeline

Address = tuple[str, int]
HEAD_BYTES = 2048
"""As much of a message is kept, to tell what it was."""


class LoopOfTimeline(Protocol):
    timeline: Timeline

    def call_soon(
        self, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> asyncio.Handle: ...


class QuietSocket:
    """What clients take for the socket of a connection: they set options, and look whether it is closed."""

    family, type, proto = socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP

    def __init__(self, descriptor: int, own: Address, peer: Address) -> None:
        """`descriptor` is one of which nothing can ever be read."""
        self._descriptor = descriptor
        self._own, self._peer = own, peer

    def fileno(self) -> int:
        """-1 when the connection is closed, as httpcore asks before it uses one again."""
        return self._descriptor

    def close(self) -> None:
        self._descriptor = -1

    def getsockname(self) -> Address:
        return self._own

    def getpeername(self) -> Address:
        return self._peer

    def setsockopt(self, *_args: object) -> None:
        """There is no network beneath it."""

    def getsockopt(self, *_args: object) -> int:
        return 0


class End(asyncio.Transport):
    """What a protocol writes to, and reads from."""

    def __init__(self, loop: LoopOfTimeline, cpu: AppCpu, sock: QuietSocket) -> None:
        super().__init__({"socket": sock, "sockname": sock.getsockname(), "peername": sock.getpeername()})
        self._socket = sock
        self._loop = loop
        self._cpu = cpu
        self._protocol: asyncio.BaseProtocol = asyncio.Protocol()
        self._context: Context | None = None
        """In which the protocol is called; None: that of whoever wakes it."""
        self._send: Callable[[list[bytes], int | None, int], None]
        self._hang_up: Callable[[int], None]
        self._gathered: list[bytes] = []
        self._visit: int | None = None
        self._waiting: list[tuple[bytes, Context | None]] = []
        """Arrived while reading was paused; empty bytes are the end."""
        self._read_ps = 0
        """When the code has read what arrived so far."""
        self._paused = False
        self._closing = False
        self._lost = False

    def attach(
        self,
        protocol: asyncio.BaseProtocol,
        context: Context | None,
        send: "Callable[[list[bytes], int | None, int], None]",
        hang_up: Callable[[int], None],
    ) -> None:
        self._protocol, self._context = protocol, context
        self._send, self._hang_up = send, hang_up

    # As the protocol sees it

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing or not data:
            return
        if not self._gathered:
            self._visit = VISIT.get()
            self._loop.call_soon(self._flush)
        self._gathered.append(bytes(data))

    def send(self, data: bytes, visit: int | None) -> None:
        """At once, for somebody else's visit than that of whoever calls."""
        if data and not self._closing:
            self._send([data], visit, self._cpu.leaves_ps(self._loop.timeline.now))

    def close(self) -> None:
        if self._closing:
            return
        self._flush()
        self._closing = True
        self._hang_up(self._cpu.leaves_ps(self._loop.timeline.now))
        self._loop.call_soon(self._lose)

    def abort(self) -> None:
        self._gathered.clear()
        self.close()

    def is_closing(self) -> bool:
        return self._closing

    def can_write_eof(self) -> bool:
        return False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        waiting, self._waiting = self._waiting, []
        for data, context in waiting:
            self.receive(data, context)

    def is_reading(self) -> bool:
        return not self._paused and not self._closing

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing is ever buffered."""

    # As the network sees it

    def deliver(self, data: bytes, arrived_ps: int, context: Context | None = None, *, first: bool) -> None:
        """At that time; `context` instead of the end's own. Empty: the other end has closed.

        The code has to work for the `first` piece of a message before it makes anything of it.
        """
        wake_at(self._loop.timeline, arrived_ps, lambda: self._arrive(data, context, first=first))

    def _arrive(self, data: bytes, context: Context | None, *, first: bool) -> None:
        now_ps = self._loop.timeline.now
        if not data:
            self._socket.close()
        read_ps = self._cpu.begins_ps(now_ps) if first else now_ps
        self._read_ps = read_ps = max(self._read_ps, read_ps)
        if read_ps > now_ps:
            wake_at(self._loop.timeline, read_ps, lambda: self.receive(data, context))
        else:
            self.receive(data, context)

    def receive(self, data: bytes, context: Context | None) -> None:
        if self._closing:
            return
        if self._paused:
            self._waiting.append((data, context))
            return
        call_soon = self._loop.call_soon
        if data:
            call_soon(self._hand_over, data, context=context or self._context)
        else:
            call_soon(self._other_end_closed, context=context or self._context)

    def _hand_over(self, data: bytes) -> None:
        if self._closing:
            return
        if self._paused:  # by the piece before
            self._waiting.append((data, None))
            return
        protocol = self._protocol
        if isinstance(protocol, asyncio.BufferedProtocol):
            while data:
                buffer = memoryview(protocol.get_buffer(len(data)))
                took = min(len(buffer), len(data))
                buffer[:took] = data[:took]
                protocol.buffer_updated(took)
                data = data[took:]
            return
        assert isinstance(protocol, asyncio.Protocol)
        protocol.data_received(data)

    def _other_end_closed(self) -> None:
        if self._closing:
            return
        stays_open = self._protocol.eof_received() if isinstance(self._protocol, asyncio.Protocol) else False
        if not stays_open:
            self.close()

    def _flush(self) -> None:
        gathered, self._gathered = self._gathered, []
        if gathered and not self._closing:
            self._send(gathered, self._visit, self._cpu.leaves_ps(self._loop.timeline.now))

    def _lose(self) -> None:
        if not self._lost:
            self._lost = True
            self._protocol.connection_lost(None)
            self._socket.close()


class VirtualConnection:
    """From when the client has called until both ends are closed. Notes every exchange in `seen`."""

    def __init__(
        self,
        client: End,
        server: End,
        course: Course,
        server_name: str,
        began_ps: int,
        seen: list[WireExchange],
        context_of: Callable[[WireExchange], Context],
    ) -> None:
        """`context_of` an exchange is the one in which the server works on it."""
        self._client, self._server = client, server
        self._course = course
        self._server_name = server_name
        self._began_ps: int | None = began_ps
        """Of the set-up, until an exchange has paid for it."""
        self._seen = seen
        self._context_of = context_of
        self._now: WireExchange | None = None
        self._context: Context | None = None

    def client_sends(self, pieces: list[bytes], visit: int | None, departed_ps: int) -> None:
        data = b"".join(pieces)
        exchange = self._now
        new = exchange is None or exchange.answered_ps >= 0
        if new:
            exchange = self._begin(visit, departed_ps)
        assert exchange is not None
        exchange.arrived_ps = self._course.up(departed_ps, len(data), new_exchange=new)
        if len(exchange.request_head) < HEAD_BYTES:
            exchange.request_head += data[:HEAD_BYTES]
        self._server.deliver(data, exchange.arrived_ps, self._context, first=new)

    def server_sends(self, pieces: list[bytes], visit: int | None, departed_ps: int) -> None:
        del visit
        data = b"".join(pieces)
        exchange = self._now
        if exchange is None:
            return  # a server that speaks first, as none of HTTP does
        first = exchange.answered_ps < 0
        arrived_ps = self._course.down(departed_ps, len(data))
        if first:
            exchange.answered_ps, exchange.first_back_ps = departed_ps, arrived_ps
            exchange.answer_head = data[:HEAD_BYTES]
        exchange.left_ps, exchange.ended_ps = departed_ps, arrived_ps
        self._client.deliver(data, arrived_ps, first=first)

    def client_closes(self, departed_ps: int) -> None:
        self._server.deliver(b"", self._course.end_up(departed_ps), self._context, first=False)

    def server_closes(self, departed_ps: int) -> None:
        self._client.deliver(b"", self._course.end_down(departed_ps), first=False)

    def _begin(self, visit: int | None, departed_ps: int) -> WireExchange:
        cold, began_ps = self._began_ps is not None, self._began_ps
        self._began_ps = None
        self._now = exchange = WireExchange(
            self._server_name,
            visit,
            departed_ps if began_ps is None else began_ps,
            departed_ps if began_ps is None else self._course.connected_ps,
            departed_ps,
            departed_ps,
            cold,
        )
        self._seen.append(exchange)
        self._context = self._context_of(exchange)
        return exchange
