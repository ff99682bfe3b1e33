"""What the shim knows of time: one protocol for the wall clock and for virtual time.

Nothing else in `api_shim` may look at a clock. Model time is whole picoseconds; asyncio counts float seconds,
and `ps_of_s` and `s_of_ps` of `sim.time.units` are the only way from one to the other.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol, TypeVar

from sim.time.timeline import ARRIVAL, FEEDBACK, Alarm, Outside, Timeline

T = TypeVar("T")


class Clock(Protocol):
    """Owns the timeline: whoever asks anything of the model says so here first."""

    @property
    def timeline(self) -> Timeline: ...

    @property
    def speed(self) -> float:
        """Simulated seconds per second of the client."""
        ...

    def now_ps(self) -> int:
        """The present. The model may still have to catch up with it."""
        ...

    def reach(self) -> int:
        """Let the model catch up; answers how far it came, which is the present unless it is overworked."""
        ...

    def inject(self, act: Callable[[], object]) -> None:
        """Run `act` at the present instant, when everything before it has happened, as an arrival does.

        At once, unless the model is behind: then as soon as it has caught up.
        """
        ...

    def call_at(self, at_ps: int, callback: Callable[[], object]) -> Alarm:
        """`timeline.cancel` takes it back, as one must who asked for a time that is far ahead."""
        ...

    async def aside(self, work: Callable[[], T]) -> T:
        """What `work` answers, or raises. It may take long, and holds up nobody who waits for the present."""
        ...

    async def elsewhere(self, work: Future[T]) -> T:
        """What `work` comes to, or raises, which goes on in a thread of its own and in real time.

        A virtual clock stands still meanwhile.
        """
        ...

    def unix_s(self) -> float:
        """For the stamps that clients read as dates."""
        ...

    def date_ns(self, at_ps: int) -> int:
        """Nanoseconds since 1970, of an instant in the client's time: 1,000 ps are one only at speed 1."""
        ...


async def sleep_until(clock: Clock, at_ps: int) -> None:
    """In simulated time."""
    woken = asyncio.Event()
    alarm = clock.call_at(at_ps, woken.set)
    try:
        await woken.wait()
    finally:
        clock.timeline.cancel(alarm)


async def until(clock: Clock, at_ps: int) -> None:
    """At once if that is past."""
    if at_ps > clock.now_ps():
        reached = asyncio.Event()
        alarm = clock.call_at(at_ps, reached.set)
        try:
            await reached.wait()
        finally:
            if not reached.is_set():
                clock.timeline.cancel(alarm)


def wake_at(timeline: Timeline, at_ps: int, callback: Callable[[], object]) -> Alarm:
    """An answer reaches its caller: without delay it is feedback, which joins the next step."""
    now_ps = timeline.now
    if at_ps <= now_ps:
        return Outside(timeline, now_ps, _wake, callback, FEEDBACK)
    return Outside(timeline, at_ps, _wake, callback, ARRIVAL)


def _wake(alarm: Alarm) -> None:
    alarm.subject()
