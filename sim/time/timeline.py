"""Callbacks at absolute times on SimPy's event queue, and the order of things at one instant.

This is the only module that touches what SimPy keeps private (`_now`, `_queue`, `_eid`, `_ok`): a bare
callback costs a fifth of a process, and absolute times need no subtraction. SimPy cannot take an event back;
`Timeline.cancel` can, so that deadlines which no longer matter do not pile up until they ring.
`tests/sim/time/test_timeline.py` fails when SimPy changes one of them.
"""

from collections.abc import Callable, Generator, Sequence
from heapq import heapify, heappop, heappush
from operator import attrgetter
from typing import Any

from simpy import Environment, Event, Process
from simpy.core import EmptySchedule
from simpy.events import NORMAL

ARRIVAL = 0
"""Requests on their way, cancels, limits: before the boundaries of the same instant."""
BOUNDARY = 1
"""The first node's step ends; the others follow, each with an order of its own (`boundary_orders`)."""
FEEDBACK = 1 << 62
"""What an answer without delay sets off: it meets every node already in its next step."""


CANCELLED_AT_LEAST = 1024
"""Cancelled alarms between two sweeps of the queue, however short it is."""


CANCELLED: Sequence[Callable[[Any], None]] = ()
"""Unlike the empty list of an event that nobody waits for yet."""


class Timeline(Environment):
    """SimPy's environment, with time as whole picoseconds from 0 on."""

    now: int = 0
    """A plain attribute, which SimPy's own name for it reads and writes: asked ten times for each request."""
    _now: property = property(attrgetter("now"), lambda self, at_ps: setattr(self, "now", at_ps))

    def __init__(self) -> None:
        super().__init__(initial_time=0)
        self.passed = 0
        """Events of this instant that have happened; only `step` counts them.

        Without `Outside` ones and cancelled ones, which a replay does not have or has swept at other times.
        """
        self.reached = ARRIVAL
        """The highest order that this instant has come to. A node's boundary at this instant is over once its
        order is reached, whether it was an event of its own or lay inside a stretch of steps."""
        self._next_boundary_order = BOUNDARY
        self._cancelled = 0  # since the last sweep: at most so many are still in the queue

    @property
    def next_ps(self) -> int | None:
        """When the next event is due, None without any."""
        queue: list[Any] = self._queue
        while queue and queue[0][3].callbacks == CANCELLED:
            heappop(queue)
        return queue[0][0] if queue else None

    def boundary_orders(self, count: int) -> int:
        """The first of so many orders in a row, for the boundaries of as many nodes.

        Nodes whose steps end together take turns in that order, however long ago each of these ends was set:
        what the answers set off comes in the same order under any kernel.
        """
        first = self._next_boundary_order
        self._next_boundary_order += count
        return first

    def succeed_at(self, event: Event, value: object, at_ps: int, order: int = ARRIVAL) -> None:
        """`event` happens at `at_ps`, in that order among what is due then. SimPy alone knows delays."""
        event._ok, event._value = True, value  # noqa: SLF001
        queue: list[Any] = self._queue
        heappush(queue, (at_ps, order, next(self._eid), event))

    def begin_at(self, story: Generator[Event, Any, object], at_ps: int) -> Process:
        """A process that takes its first step at `at_ps`, as an arrival does. SimPy's own begin at once."""
        return _Begun(self, story, at_ps)

    def schedule(self, event: Event, priority: int = NORMAL, delay: float = 0) -> None:
        """SimPy's own way in: arrivals, or feedback when boundaries of this instant have begun.

        A process that fails while nobody waits for it raises: the fault is ours. One that ends while nobody
        waits for it is over without an event.
        """
        del priority  # SimPy's order within an instant gives way to ours
        if not event.callbacks:
            if not event._ok:  # noqa: SLF001
                raise event._value  # noqa: SLF001
            if isinstance(event, Process):
                event.callbacks = None  # type: ignore[assignment]  # SimPy's mark of what has happened
                return
        order = FEEDBACK if not delay and self.reached > ARRIVAL else ARRIVAL
        queue: list[Any] = self._queue
        heappush(queue, (self.now + delay, order, next(self._eid), event))

    def cancel(self, alarm: "Alarm") -> None:
        """It will not ring; nothing happens if it has rung. Costs no more than ringing, and frees its memory:

        at any time the queue holds at most half as many cancelled alarms as others, or CANCELLED_AT_LEAST.
        """
        if not alarm.callbacks:
            return
        alarm.callbacks, alarm.subject = CANCELLED, None
        self._cancelled += 1
        if self._cancelled >= CANCELLED_AT_LEAST and 3 * self._cancelled >= len(self._queue):
            self._sweep()

    def cancel_calls(self, callback: "Callable[[Any], None]") -> None:
        """None of the alarms that would call it rings. Looks at the whole queue."""
        queue: list[Any] = self._queue
        for alarm in [event for *_, event in queue if event.callbacks == (callback,)]:
            self.cancel(alarm)

    def _sweep(self) -> None:
        """The order in which the others come does not depend on how they lie in the heap."""
        queue: list[Any] = self._queue
        queue[:] = [entry for entry in queue if entry[3].callbacks != CANCELLED]
        heapify(queue)
        self._cancelled = 0

    def run_before(self, at_ps: int) -> None:
        """Let everything happen that is due before `at_ps`, and stand there.

        Unlike `run(until=...)` it queues no event of its own, and asks nothing of events but their callbacks.
        """
        queue: list[Any] = self._queue
        if self.now != at_ps:
            self.passed = 0
        instant_ps = self.now
        while queue and queue[0][0] < at_ps:
            now_ps, order, _, event = heappop(queue)
            if now_ps != instant_ps:
                self.now = instant_ps = now_ps
                self.reached = order
            elif order > self.reached:
                self.reached = order
            callbacks, event.callbacks = event.callbacks, None
            for callback in callbacks:
                callback(event)
        if self.now != at_ps:
            self.now, self.reached = at_ps, ARRIVAL

    def step(self) -> None:
        """Let the next event happen. Raises EmptySchedule without any."""
        queue: list[Any] = self._queue
        if not queue:
            raise EmptySchedule
        at_ps, order, _, event = heappop(queue)
        if self.now != at_ps:
            self.now, self.passed, self.reached = at_ps, 0, order
        elif order > self.reached:
            self.reached = order
        callbacks, event.callbacks = event.callbacks, None
        for callback in callbacks:
            callback(event)
        if callbacks != CANCELLED and not isinstance(event, Outside):
            self.passed += 1

    def skip_to(self, at_ps: int) -> None:
        """Stand at `at_ps`, before which nothing is due; what is due at that instant is still to come."""
        assert self.now <= at_ps <= self.peek(), (self.now, at_ps, self.peek())
        if self.now != at_ps:
            self.now, self.passed, self.reached = at_ps, 0, ARRIVAL


class OwnValue(Event):
    """An event whose value is itself, without a reference to itself. `happen_at` alone makes it happen.

    It goes when nobody needs it any more: a cycle would wait for the garbage collector, which looks seldom.
    """

    _ok = True

    @property
    def _value(self) -> "OwnValue":
        return self

    def happen_at(self, at_ps: int, order: int) -> None:
        """As `Timeline.succeed_at`."""
        env: Any = self.env
        heappush(env._queue, (at_ps, order, next(env._eid), self))  # noqa: SLF001


class Alarm:
    """Calls `callback(self)` once at `at_ps`, with `subject` along: all that SimPy asks of an event."""

    __slots__ = ("callbacks", "subject")
    _ok = True

    def __init__(
        self,
        env: Timeline,
        at_ps: int,
        callback: "Callable[[Any], None]",
        subject: object = None,
        order: int = ARRIVAL,
    ) -> None:
        self.callbacks: Sequence[Callable[[Any], None]] | None = (callback,)
        """Empty once it is cancelled, None once it has rung."""
        self.subject: Any = subject
        queue: list[Any] = env._queue  # noqa: SLF001
        heappush(queue, (at_ps, order, next(env._eid), self))  # noqa: SLF001


class Outside(Alarm):
    """Wakes somebody outside the model: a replay of the same arrivals does without."""

    __slots__ = ()


class _Begun(Process):
    """SimPy's process, begun by an event of its own choice of time."""

    def __init__(self, env: Timeline, story: Generator[Event, Any, object], at_ps: int) -> None:
        Event.__init__(self, env)
        self._generator = story
        self._target = start = Event(env)
        assert start.callbacks is not None
        start.callbacks.append(self._resume)
        env.succeed_at(start, None, at_ps)
