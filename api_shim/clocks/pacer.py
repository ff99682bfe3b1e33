"""Wall time drives the model: `wall = anchor + (sim - anchor) / speed`, absolute, so that nothing drifts.

The one place in the shim that reads the machine's clocks. When the machine is late the model catches up: its
stamps stay exact, only their delivery is late.
"""

import asyncio
import time  # noqa: TID251 -- the wall clock enters here and nowhere else
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar

from api_shim.clocks.alarm_clock import AlarmClock, alarm_clock
from api_shim.clocks.clock import wake_at
from sim.time.timeline import Alarm, Outside, Timeline

T = TypeVar("T")
PS_PER_NS = 1000
SLICE_NS = 2_000_000
"""The loop is given back after this long, so that a busy model does not starve the connections."""
EVENTS_PER_LOOK = 32
"""Between two looks at the clock."""


class Machine(Protocol):
    """What the pacer asks of the computer and its event loop."""

    def monotonic_ns(self) -> int: ...

    def unix_s(self) -> float: ...

    def call_soon(self, callback: Callable[[], None]) -> object:
        """In the next turn of the loop, after whoever is ready."""
        ...

    def alarm_clock(self, ring: Callable[[], None]) -> AlarmClock: ...


class RunningLoop:
    """The real ones: the loop is the one that runs where this is made."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    monotonic_ns = staticmethod(time.monotonic_ns)
    unix_s = staticmethod(time.time)

    def call_soon(self, callback: Callable[[], None]) -> object:
        return self._loop.call_soon(callback)

    def alarm_clock(self, ring: Callable[[], None]) -> AlarmClock:
        return alarm_clock(self._loop, ring)


class Pacer:
    """A `Clock`. Starts at its making, where the timeline stands.

    While it is open, an event of the timeline that lies ahead has the alarm clock set to it or to an earlier
    time, and one that is overdue has a turn of the loop coming.
    """

    def __init__(self, timeline: Timeline, speed: float = 1.0, machine: Machine | None = None) -> None:
        self.timeline = timeline
        self.speed = speed
        self._ps_per_ns = PS_PER_NS * speed
        self._machine = machine or RunningLoop()
        self._alarm_clock = self._machine.alarm_clock(self._ring)
        self._aside = ThreadPoolExecutor(1, "aside")  # each more would make the loop wait longer for its turn
        self._armed_ps: int | None = None
        self._catching_up = False
        self._closed = False
        self._unix_s = self._machine.unix_s()
        self._anchor_ps = timeline.now
        self._anchor_ns = self._machine.monotonic_ns()

    def close(self) -> None:
        """Nothing happens by itself from here on: only `reach` and `inject` still move the model."""
        self._closed = True
        self._alarm_clock.close()
        self._aside.shutdown(wait=False, cancel_futures=True)

    def now_ps(self) -> int:
        return self._anchor_ps + int((self._machine.monotonic_ns() - self._anchor_ns) * self._ps_per_ns)

    def unix_s(self) -> float:
        return self._unix_s + (self._machine.monotonic_ns() - self._anchor_ns) / 1e9

    def reach(self) -> int:
        self._advance(self.now_ps())
        self._arm()
        return self.timeline.now

    def inject(self, act: Callable[[], object]) -> None:
        now_ps = self.now_ps()
        if self._advance(now_ps):
            act()
        else:
            Outside(self.timeline, max(now_ps, self.timeline.now), _act, act)
        self._arm()

    def call_at(self, at_ps: int, callback: Callable[[], object]) -> Alarm:
        alarm = wake_at(self.timeline, at_ps, callback)
        self._arm()
        return alarm

    def date_ns(self, at_ps: int) -> int:
        return round(self._unix_s * 1e9) + int((at_ps - self._anchor_ps) / self._ps_per_ns)

    async def aside(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._aside, work)

    async def elsewhere(self, work: Future[T]) -> T:
        return await asyncio.wrap_future(work)

    def _ring(self) -> None:
        self._armed_ps = None
        self.reach()

    def _catch_up(self) -> None:
        self._catching_up = False
        self.reach()

    def _advance(self, target_ps: int) -> bool:
        """Everything due before `target_ps`, for one slice at most: whether all of it has happened."""
        timeline = self.timeline
        until_ns = self._machine.monotonic_ns() + SLICE_NS
        done = 0
        while (next_ps := timeline.next_ps) is not None and next_ps < target_ps:
            timeline.step()
            done += 1
            if done % EVENTS_PER_LOOK == 0 and self._machine.monotonic_ns() > until_ns:
                return False
        if timeline.now < target_ps:
            timeline.skip_to(target_ps)
        return True

    def _arm(self) -> None:
        """See to it that the next event is met in time."""
        next_ps = self.timeline.next_ps
        if next_ps is None or self._catching_up or self._closed:
            return
        if next_ps < self.now_ps():
            self._catching_up = True
            self._machine.call_soon(self._catch_up)
        elif self._armed_ps is None or next_ps < self._armed_ps:
            self._armed_ps = next_ps
            # One nanosecond later than due: `_advance` takes what lies before the present.
            self._alarm_clock.set(self._anchor_ns + int((next_ps - self._anchor_ps) / self._ps_per_ns) + 1)


def _act(alarm: Alarm) -> None:
    alarm.subject()
