"""What else of the process must keep to virtual time: clocks, sleeps, TLS, and calls that would block.

Only for a process that exists for one rehearsal: nothing here is ever put back.
"""

import random  # noqa: TID251 -- the application's, which clients draw their retries from
import sys
import time  # noqa: TID251 -- the application's
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from anyio.abc import SocketAttribute
from anyio.streams.tls import TLSStream

from api_shim.clocks.virtual_loop import EPOCH_UNIX_S
from api_shim.rehearsal.connection import QuietSocket
from sim.time.units import PS_PER_S, ps_of_s

PS_PER_NS = 1000
REAL_CPU_NS = time.thread_time_ns


class BlockingCallError(RuntimeError):
    """The application waits in a way that stops its event loop, which virtual time cannot pass over."""


class BlockingCalls:
    """Notes and refuses connections that bypass asyncio."""

    def __init__(self, folder: Path) -> None:
        self.found: list[str] = []
        """Sentences, one for each place in the code."""
        self._folder = str(folder)
        sys.addaudithook(self._heard)

    def _heard(self, event: str, args: tuple[Any, ...]) -> None:
        if event != "socket.connect" or not isinstance(args[1], tuple):
            return
        own = [frame for frame in traceback.extract_stack() if frame.filename.startswith(self._folder)]
        where = f"{own[-1].filename}:{own[-1].lineno}" if own else "the application"
        sentence = (
            f"{where} connects to {args[1][0]} with a client that blocks; in virtual time only asyncio's "
            "can be carried: use openai.AsyncOpenAI, httpx.AsyncClient or aiohttp"
        )
        if sentence not in self.found:
            self.found.append(sentence)
        raise BlockingCallError(sentence)


def keep_to(now_ps: Callable[[], int], busy: Callable[[int], None], seed: int) -> None:
    """`busy` is told of the picoseconds that `time.sleep` holds the application up."""

    def seconds() -> float:
        return now_ps() / PS_PER_S

    def nanoseconds() -> int:
        return now_ps() // PS_PER_NS

    time.monotonic = time.perf_counter = seconds
    time.monotonic_ns = time.perf_counter_ns = nanoseconds
    time.time = lambda: EPOCH_UNIX_S + seconds()
    time.time_ns = lambda: EPOCH_UNIX_S * 10**9 + nanoseconds()
    time.sleep = lambda seconds, /: busy(ps_of_s(float(seconds)))
    random.seed(seed)
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
