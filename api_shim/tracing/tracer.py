"""Which requests are traced, and when what is known of them is written."""

import asyncio
from collections.abc import Callable
from functools import partial

from api_shim.clocks.clock import Clock
from api_shim.store.traces import Trace, Traces
from api_shim.tracing.app_trace import AppTrace
from api_shim.tracing.kept import LOG, WhoAsks, parsed
from api_shim.tracing.open_trace import OpenTrace
from api_shim.wire.errors import ApiError

GROUP = 64
GROUP_S = 1.0
"""Traces are written when there are so many, or when the first has waited so long."""
SAMPLED = 1
GOLDEN = 0x9E3779B97F4A7C15
"""2^64 over the golden ratio: its multiples are spread evenly, so that few requests meet a share closely."""


Export = Callable[[Callable[[], Trace]], object]
"""Hears of each trace that is over, and makes it when it has time to."""


class Tracer:
    def __init__(
        self,
        clock: Clock,
        traces: Traces,
        new_id: Callable[[str], str],
        share: float = 0.0,
        export: Export | None = None,
    ) -> None:
        """`share` of the requests that do not say `log` is traced, without bodies."""
        self._clock = clock
        self._traces = traces
        self._new_id = new_id
        self._export = export
        self._threshold = round(share * 2**64)
        self._watching = bool(self._threshold) or export is not None
        self.open_around = 0
        """User requests to applications that are under way: calls to the model may belong to one."""
        self._asked = 0
        self._timer: asyncio.TimerHandle | None = None
        self._writing: set[asyncio.Task[None]] = set()

    def begin(self, who: Callable[[], WhoAsks], raw: bytes, *, log: bool | None) -> OpenTrace | None:
        """None for a request that is not traced, as most: that must cost nothing."""
        if not log and not self._watching and not self.open_around:
            return None
        asks = who()
        if asks.within is not None:
            log = log or asks.within.logged
            if not log and not asks.within.is_kept:
                return None
        elif not log and not self._sampled(asks.traceparent):
            return None
        return OpenTrace(asks, raw, self._clock, self._new_id("trace_"), self.add, logged=bool(log))

    def around(self, who: WhoAsks, *, place: str, app: str) -> AppTrace:
        """Of a user's request to an application. It may turn out that it is not kept."""
        sampled = self._watching and self._sampled(who.traceparent)
        trace_id = self._new_id("trace_")
        self.open_around += 1
        return AppTrace(who, self._clock, trace_id, self.add, place=place, app=app, sampled=sampled)

    def end_around(
        self, trace: AppTrace, stamps: dict[str, int], status: int, outcome: str, *, streamed: bool
    ) -> None:
        self.forget_around()
        trace.end(stamps, status, outcome, streamed=streamed)

    def forget_around(self) -> None:
        """One of them is over, and nothing is kept of it."""
        self.open_around -= 1

    def refused(
        self, trace: OpenTrace | None, who: Callable[[], WhoAsks], raw: bytes, error: ApiError
    ) -> None:
        """A body that cannot be understood may still say `log`: then why it is refused is kept."""
        if trace is None:
            trace = self.begin(who, raw, log=LOG in raw and parsed(raw).get("log") is True)
        if trace is not None:
            trace.answer(error.status, bytes(error.response().body))
            trace.end_unless_sent()

    def add(self, make: Callable[[], Trace]) -> None:
        if self._export is not None:
            self._export(make)
        waiting = self._traces.add(make)
        if waiting % GROUP == 0:
            self._write_soon()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GROUP_S, self._write_soon)

    async def close(self) -> None:
        """What waits is written."""
        self._stop_timer()
        await self._write()

    def _sampled(self, traceparent: str) -> bool:
        """A client that traces has decided for its requests, where they can join its trace."""
        if traceparent and self._export is not None:
            return bool(int(traceparent[53:55], 16) & SAMPLED)
        self._asked += 1
        return self._asked * GOLDEN % 2**64 < self._threshold

    def _write_soon(self) -> None:
        self._stop_timer()
        task = asyncio.get_running_loop().create_task(self._write())
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _write(self) -> None:
        await self._clock.aside(partial(self._traces.write, self._clock.unix_s()))
