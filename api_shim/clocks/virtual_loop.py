"""An asyncio loop without waiting: where others sleep, the model's next event or timer comes at once.

Deterministic as long as no real socket and no thread takes part. With sockets the clock can jump past what
the kernel has yet to deliver; while jobs run in threads it stands still.
"""

import asyncio
import concurrent.futures
import selectors
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from math import ulp
from typing import Any, TypeVar

from api_shim.clocks.clock import wake_at
from sim.time.timeline import Alarm, Timeline
from sim.time.units import ps_of_s, s_of_ps

T = TypeVar("T")
EPOCH_UNIX_S = 1_767_225_600
"""Virtual time starts with the year 2026, in every run."""
READY_ROUNDS_PER_POLL = 64
READY_ROUNDS_PER_INSTANT = 1_000
"""After so many a task that always has something to do is taken to poll, as `while not done: await sleep(0)`
does: what it waits for lies ahead. Other chains of callbacks at one instant are far shorter."""
LAST_ROUNDS = 1_000_000
"""As many are left to such a task when nothing lies ahead."""


class DeadlockError(RuntimeError):
    """Everybody waits, and nothing is left that could end it."""


class _NeverSleeps(selectors.DefaultSelector):
    """What asyncio asks when it would wait for file descriptors."""

    def __init__(self, advance: Callable[[], bool]) -> None:
        super().__init__()
        self._advance = advance
        self._ready_rounds = 0
        """Since the clock last moved."""
        self.jobs = 0
        """In threads. They report through the loop's own pipe, the one descriptor that is always there."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        outside = self.jobs > 0 or len(self.get_map()) > 1
        if timeout is not None and timeout <= 0:
            return self._among_busy(outside=outside)
        events = super().select(0) if outside else []
        if events or (not self.jobs and self._moved()):
            return events
        if outside:
            return super().select(None)
        raise DeadlockError("every task waits, and neither the model nor a timer has anything left to do")

    def _among_busy(self, *, outside: bool) -> list[tuple[selectors.SelectorKey, int]]:
        self._ready_rounds += 1
        events = super().select(0) if outside or self._ready_rounds % READY_ROUNDS_PER_POLL == 0 else []
        if self._ready_rounds < READY_ROUNDS_PER_INSTANT or events or self.jobs or self._moved():
            return events
        if self._ready_rounds >= LAST_ROUNDS and not outside:
            raise DeadlockError(
                "a task polls with sleep(0), and neither the model nor a timer has anything left to do"
            )
        return events

    def _moved(self) -> bool:
        """Whether the clock, or the model, had something ahead to go on to."""
        moved = self._advance()
        if moved:
            self._ready_rounds = 0
        return moved


class VirtualLoop(asyncio.SelectorEventLoop):
    """At one instant timers come before the events of the model, as arrivals do."""

    def __init__(self, timeline: Timeline | None = None) -> None:
        self.timeline = timeline or Timeline()
        self._time_s = 0.0
        self._clock_resolution_s = ulp(0.0)
        self._looked_ps = 0
        """What the two above are of, but for a timer that has rung since."""
        self._never_sleeps = _NeverSleeps(self._advance)
        super().__init__(self._never_sleeps)

    def time(self) -> float:
        now_ps = self.timeline.now
        if now_ps != self._looked_ps:
            self._looked_ps = now_ps
            self._move_to(s_of_ps(now_ps))
        return self._time_s

    def _move_to(self, time_s: float) -> None:
        if time_s > self._time_s:
            self._time_s, self._clock_resolution_s = time_s, ulp(time_s)

    @property
    def _clock_resolution(self) -> float:
        """By which asyncio, which has just asked for the time, runs the timers early: only those of this
        very instant.
        """
        return self._clock_resolution_s

    @_clock_resolution.setter
    def _clock_resolution(self, seconds: float) -> None:
        """What the base class believes is the machine's."""

    def _advance(self) -> bool:
        """Go on until somebody has something to do; False if nobody ever will.

        Past those who poll it goes one event at a time, since any may be what they wait for.
        """
        timeline = self.timeline
        ready: Any = self._ready  # type: ignore[attr-defined]
        while True:
            timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
            next_ps = timeline.next_ps
            if timers:
                timer_s = timers[0].when()
                timer_ps = max(ps_of_s(timer_s), timeline.now)
                if next_ps is None or timer_ps <= next_ps:
                    timeline.skip_to(timer_ps)
                    self._move_to(timer_s)
                    return True
            if next_ps is None:
                return False
            timeline.step()
            if ready:
                return True

    def run_in_executor(  # type: ignore[override]  # typeshed's signature takes type variables that 3.11 lacks
        self,
        executor: Executor | None,
        func: Callable[..., Any],
        *args: Any,  # noqa: ANN401 -- func's own
    ) -> asyncio.Future[Any]:
        future = super().run_in_executor(executor, func, *args)
        self._never_sleeps.jobs += 1
        future.add_done_callback(self._job_done)
        return future

    async def elsewhere(self, work: concurrent.futures.Future[T]) -> T:
        """Wait for a job in somebody else's thread."""
        future = asyncio.wrap_future(work, loop=self)
        self._never_sleeps.jobs += 1
        future.add_done_callback(self._job_done)
        return await future

    def _job_done(self, _future: asyncio.Future[Any]) -> None:
        self._never_sleeps.jobs -= 1

    def run_forever(self) -> None:
        with self._counting_worker_threads():
            super().run_forever()

    @contextmanager
    def _counting_worker_threads(self) -> Iterator[None]:
        """anyio, hence Starlette, runs synchronous endpoints in threads of its own."""
        from anyio._backends._asyncio import AsyncIOBackend  # noqa: PLC0415 -- part of Starlette, if that is there

        method = AsyncIOBackend.run_sync_in_worker_thread
        never_sleeps = self._never_sleeps

        async def counted(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 -- passes on what anyio has
            never_sleeps.jobs += 1
            try:
                return await method(*args, **kwargs)
            finally:
                never_sleeps.jobs -= 1

        AsyncIOBackend.run_sync_in_worker_thread = staticmethod(counted)  # type: ignore[method-assign]
        try:
            yield
        finally:
            AsyncIOBackend.run_sync_in_worker_thread = method  # type: ignore[method-assign]


class VirtualClock:
    """The `Clock` of a `VirtualLoop`: the model is never behind."""

    speed = 1.0

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline

    def now_ps(self) -> int:
        return self.timeline.now

    def reach(self) -> int:
        return self.timeline.now

    def inject(self, act: Callable[[], object]) -> None:
        act()

    async def aside(self, work: Callable[[], T]) -> T:
        """At once: a thread would make the order of things a matter of luck, and time stands still anyhow."""
        return work()

    async def elsewhere(self, work: concurrent.futures.Future[T]) -> T:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        return await loop.elsewhere(work)

    def call_at(self, at_ps: int, callback: Callable[[], object]) -> Alarm:
        return wake_at(self.timeline, at_ps, callback)

    def unix_s(self) -> float:
        return EPOCH_UNIX_S + s_of_ps(self.timeline.now)

    def date_ns(self, at_ps: int) -> int:
        return EPOCH_UNIX_S * 10**9 + at_ps // 1000
