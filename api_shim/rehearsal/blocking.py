"""Calls that block, in virtual time: sockets of the standard library, and `time.sleep`.

`requests`, `httpx.get` and `openai.OpenAI` rest on these. In the loop's own thread such a call stops the
application and nobody else, as it does for real. In a thread of its own it stops that thread.
"""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable
from contextvars import Context
from typing import Any

from api_shim.clocks.clock import wake_at
from api_shim.rehearsal.connection import End
from api_shim.rehearsal.machines import MACHINE, VISIT
from api_shim.rehearsal.rehearsal_loop import RehearsalLoop
from sim.time.timeline import Alarm
from sim.time.units import ps_of_s

Wake = Callable[[], None]
Buffer = bytes | bytearray | memoryview


class Blocking:
    """How whoever calls waits for what happens in the loop."""

    def __init__(self, loop: RehearsalLoop) -> None:
        """`loop` is that of this thread."""
        self.loop = loop
        self._thread = threading.get_ident()

    @property
    def holds_here(self) -> bool:
        """Whether this is the loop's thread, or one of the application's.

        Others, such as those that hold sandboxes, which really run, keep real time and the real network.
        """
        machine = MACHINE.get()
        return threading.get_ident() == self._thread or (machine is not None and machine.kind == "app")

    def until(self, begin: Callable[[Wake], object]) -> None:
        """`begin` is called in the loop, with what is to be called there when the wait is over.

        Raises what `begin` raises.
        """
        if threading.get_ident() != self._thread:
            self._in_a_thread(begin)
            return
        woken = threading.Event()

        def wake() -> None:
            woken.set()
            self._stand_still()

        begin(wake)
        self.loop.run_others_until(woken.is_set)

    def sleep(self, seconds: float) -> None:
        self.until(lambda wake: self.alarm(seconds, wake))

    def alarm(self, seconds: float, wake: Wake) -> Alarm:
        timeline = self.loop.timeline
        return wake_at(timeline, timeline.now + ps_of_s(seconds), wake)

    def _in_a_thread(self, begin: Callable[[Wake], object]) -> None:
        over = threading.Event()
        raised: list[BaseException] = []

        def wake() -> None:
            if not over.is_set():
                self.loop.job_works()
                over.set()
                self._stand_still()

        def begun() -> None:
            self.loop.job_waits()
            try:
                begin(wake)
            except BaseException as error:  # noqa: BLE001 -- it is raised in the thread that asked
                raised.append(error)
                wake()

        self.loop.call_soon_threadsafe(begun, context=Context())
        over.wait()
        if raised:
            raise raised[0]

    def _stand_still(self) -> None:
        """The clock goes on until the loop has something to do, which the end of a wait alone is not."""
        self.loop.call_soon(_nothing, context=Context())


def _nothing() -> None: ...


class _Inbox(asyncio.Protocol):
    """What has arrived for a socket, and who waits for it."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.ended = False
        self.wake: Wake | None = None

    def data_received(self, data: bytes) -> None:
        self.data += data
        self._arrived()

    def eof_received(self) -> bool:
        self.ended = True
        self._arrived()
        return True

    def connection_lost(self, exc: BaseException | None) -> None:
        del exc
        self.ended = True
        self._arrived()

    def _arrived(self) -> None:
        wake, self.wake = self.wake, None
        if wake is not None:
            wake()


class VirtualSocket(socket.socket):
    """Connects to the hosts of a `VirtualNetwork`, and never to anything else but files of this machine."""

    blocking: Blocking
    """Of the one rehearsal that this process is for."""
    _inbox: _Inbox | None = None
    _end: End

    def connect(self, address: Any) -> None:  # noqa: ANN401 -- the base's
        if not (isinstance(address, tuple) and self.blocking.holds_here):
            super().connect(address)
            return
        loop, inbox, machine = self.blocking.loop, _Inbox(), MACHINE.get()

        def begin(wake: Wake) -> None:
            context = Context()
            context.run(MACHINE.set, machine)
            dialled = context.run(loop.network.dial, str(address[0]), loop.timeline.now)

            def stands() -> None:
                self._end = loop.connect(inbox, dialled, int(address[1]), Context())
                wake()

            wake_at(loop.timeline, dialled.course.connected_ps, stands)

        self.blocking.until(begin)
        self._inbox = inbox

    def connect_ex(self, address: Any) -> int:  # noqa: ANN401 -- the base's
        try:
            self.connect(address)
        except OSError as error:
            return error.errno or -1
        return 0

    def sendall(self, data: Any, flags: int = 0) -> None:  # noqa: ANN401 -- the base's
        if self._inbox is None:
            super().sendall(data, flags)
            return
        visit, whole = VISIT.get(), bytes(data)

        def begin(wake: Wake) -> None:
            self._end.send(whole, visit)
            wake()

        self.blocking.until(begin)

    def send(self, data: Any, flags: int = 0) -> int:  # noqa: ANN401 -- the base's
        if self._inbox is None:
            return super().send(data, flags)
        self.sendall(data)
        return len(bytes(data))

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        if self._inbox is None:
            return super().recv(bufsize, flags)
        self._wait_for_data(self._inbox)
        taken = bytes(self._inbox.data[:bufsize])
        if not flags & socket.MSG_PEEK:
            del self._inbox.data[:bufsize]
        return taken

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:  # noqa: ANN401 -- the base's
        if self._inbox is None:
            return super().recv_into(buffer, nbytes, flags)
        view = memoryview(buffer).cast("B")
        data = self.recv(nbytes or len(view), flags)
        view[: len(data)] = data
        return len(data)

    def setsockopt(self, *args: Any) -> None:  # noqa: ANN401 -- the base's
        """Nothing, where there is no network beneath it."""
        if self._inbox is None:
            super().setsockopt(*args)

    def getpeername(self) -> Any:  # noqa: ANN401 -- the base's
        return super().getpeername() if self._inbox is None else self._end.get_extra_info("peername")

    def shutdown(self, how: int) -> None:
        if self._inbox is None:
            super().shutdown(how)

    def close(self) -> None:
        inbox, self._inbox = self._inbox, None
        if inbox is not None and not self.blocking.loop.is_closed():
            self.blocking.loop.call_soon_threadsafe(self._end.close, context=Context())
        super().close()

    def fileno(self) -> int:
        """Readable only when the connection is closed, for which clients look before they use it again."""
        if self._inbox is None:
            return super().fileno()
        return -1 if self._inbox.ended else self.blocking.loop.quiet_descriptor

    @property
    def is_virtual(self) -> bool:
        return self._inbox is not None

    def _wait_for_data(self, inbox: _Inbox) -> None:
        """Raises TimeoutError after the socket's time-out, in virtual time."""
        if inbox.data or inbox.ended:
            return
        timeout_s = self.gettimeout()
        if timeout_s == 0:
            raise BlockingIOError
        alarms: list[Alarm] = []

        def begin(wake: Wake) -> None:
            if inbox.data or inbox.ended:
                wake()
                return
            inbox.wake = wake
            if timeout_s is not None:
                alarms.append(self.blocking.alarm(timeout_s, wake))

        self.blocking.until(begin)
        for alarm in alarms:
            self.blocking.loop.timeline.cancel(alarm)
        inbox.wake = None
        if not inbox.data and not inbox.ended:
            raise TimeoutError("timed out")


def carry_blocking_calls(blocking: Blocking) -> None:
    """For good: the process exists for one rehearsal."""
    VirtualSocket.blocking = blocking
    network = blocking.loop.network
    wrap_socket, real_getaddrinfo = ssl.SSLContext.wrap_socket, socket.getaddrinfo

    def wrapped(context: ssl.SSLContext, sock: socket.socket, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        """TLS takes its round trips in the model, and no bytes."""
        if isinstance(sock, VirtualSocket) and sock.is_virtual:
            return sock
        return wrap_socket(context, sock, *args, **options)

    def getaddrinfo(host: Any, port: Any, *args: Any, **options: Any) -> list[Any]:  # noqa: ANN401
        if not blocking.holds_here:
            return real_getaddrinfo(host, port, *args, **options)
        name = host.decode() if isinstance(host, bytes) else host or "localhost"
        address = (network.address(name), int(port or 0))
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address)]

    socket.socket = VirtualSocket  # type: ignore[misc]
    socket.getaddrinfo = getaddrinfo
    socket.gethostbyname = network.address
    ssl.SSLContext.wrap_socket = wrapped  # type: ignore[method-assign,assignment]
