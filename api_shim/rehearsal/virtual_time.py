"""What else of a process must keep to virtual time: its clocks, sleeps, calls that block, and TLS.

Only for a process that exists for one rehearsal: nothing here is ever put back.
"""

import random  # noqa: TID251 -- the application's, which clients draw their retries from
import time  # noqa: TID251 -- the application's
from collections.abc import Callable
from typing import Any, SupportsIndex, TypeVar

from anyio.abc import SocketAttribute
from anyio.streams.tls import TLSStream

from api_shim.clocks.virtual_loop import EPOCH_UNIX_S
from api_shim.rehearsal.blocking import Blocking, carry_blocking_calls
from api_shim.rehearsal.connection import QuietSocket
from sim.time.units import PS_PER_S

T = TypeVar("T")
PS_PER_NS = 1000
REAL_CPU_NS = time.thread_time_ns


def keep_to(blocking: Blocking, seed: int) -> None:
    """Where `blocking` holds."""
    timeline, sleep = blocking.loop.timeline, time.sleep

    def seconds() -> float:
        return timeline.now / PS_PER_S

    def nanoseconds() -> int:
        return timeline.now // PS_PER_NS

    def slept(secs: float | SupportsIndex, /) -> None:
        if blocking.holds_here:
            blocking.sleep(float(secs))
        else:
            sleep(secs)

    def either(virtual: Callable[[], T], real: Callable[[], T]) -> Callable[[], T]:
        return lambda: virtual() if blocking.holds_here else real()

    time.monotonic = either(seconds, time.monotonic)
    time.perf_counter = either(seconds, time.perf_counter)
    time.time = either(lambda: EPOCH_UNIX_S + seconds(), time.time)
    time.monotonic_ns = either(nanoseconds, time.monotonic_ns)
    time.perf_counter_ns = either(nanoseconds, time.perf_counter_ns)
    time.time_ns = either(lambda: EPOCH_UNIX_S * 10**9 + nanoseconds(), time.time_ns)
    time.sleep = slept
    random.seed(seed)
    carry_blocking_calls(blocking)
    _without_tls_bytes()


def _without_tls_bytes() -> None:
    """Many clients speak TLS above anyio's streams: its round trips are modelled, its bytes left out."""
    wrap = TLSStream.wrap

    async def wrapped(transport_stream: Any, **options: Any) -> Any:  # noqa: ANN401 -- anyio's own
        raw_socket = transport_stream.extra(SocketAttribute.raw_socket, None)  # noqa: S610 -- no Django here
        if isinstance(raw_socket, QuietSocket):
            return transport_stream
        return await wrap(transport_stream, **options)

    TLSStream.wrap = staticmethod(wrapped)  # type: ignore[method-assign]
