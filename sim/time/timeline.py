"""Callbacks at absolute times, the order of things at one instant, and what SimPy asks of its environment.

This and `sim.time.events` alone touch what SimPy keeps private (`_ok`, `_value`, `_active_proc`): a bare
callback costs a fifth of a process, and absolute times need no subtraction. SimPy cannot take an event back;
`Timeline.cancel` can, so that deadlines which no longer matter do not pile up until they ring.
`tests/sim/time/test_timeline.py` fails when SimPy changes one of them.
"""

from collections.abc import Callable, Generator
from heapq import heapify, heappop, heappush
from typing import Any, Final, TypeAlias, cast

from simpy import Environment, Event, Process
from simpy.core import EmptySchedule
from simpy.events import NORMAL

ARRIVAL: Final = 0
"""Requests on their way, cancels, limits: before the boundaries of the same instant."""
BOUNDARY: Final = 1
"""The first node's step ends; the others follow, each with an order of its own (`boundary_orders`)."""
FEEDBACK: Final = 1 << 62
"""What an answer without delay sets off: it meets every node already in its next step."""


CANCELLED_AT_LEAST = 1024
"""Cancelled alarms between two sweeps of the queue, however short it is."""


Entry: TypeAlias = "tuple[int, int, int, Alarm | None, Any]"
"""(time, order, number, alarm, None), or (time, order, number, None, an event of SimPy's)."""


class Timeline:
    """Time as whole picoseconds from 0 on. It stands in for SimPy's environment, which is not compiled."""

    def __init__(self) -> None:
        self.now = 0
        self.passed = 0
        """Events of this instant that have happened; only `step` counts them.

        Without `Outside` ones and cancelled ones, which a replay does not have or has swept at other times.
        """
        self.reached = ARRIVAL
        """The highest order that this instant has come to. A node's boundary at this instant is over once its
        order is reached, whether it was an event of its own or lay inside a stretch of steps."""
        self.queued = 0
        """Events that ever were in the queue: those of one time and order happen as they were put there."""
        self._queue: list[Entry] = []
        """A heap."""
        self._next_boundary_order = BOUNDARY
        self._cancelled = 0  # since the last sweep: at most so many are still in the queue
        self._active_proc: Process | None = None

    @property
    def simpy(self) -> Environment:
        """Itself, for SimPy's events and processes: it has all that those ask for."""
        return cast("Environment", self)

    @property
    def active_process(self) -> Process | None:
        """SimPy's: whoever interrupts a process must be another."""
        return self._active_proc

    @property
    def next_ps(self) -> int | None:
        """When the next event is due, None without any."""
        queue = self._queue
        while queue and _is_cancelled(queue[0]):
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

    def put(self, event: Event, at_ps: int, order: int) -> None:
        """`event`, which knows its value, happens at `at_ps`, in that order among what is due then."""
        self.queued = number = self.queued + 1
        heappush(self._queue, (at_ps, order, number, None, event))

    def succeed_at(self, event: Event, value: object, at_ps: int, order: int = ARRIVAL) -> None:
        """As `put`, with this value. SimPy alone knows delays."""
        event._ok, event._value = True, value  # noqa: SLF001
        self.put(event, at_ps, order)

    def process(self, story: Generator[Event, Any, object]) -> Process:
        """A process that begins at once, as SimPy's do."""
        return Process(self.simpy, story)

    def schedule(self, event: Event, priority: int = NORMAL, delay: int = 0) -> None:
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
        self.put(event, self.now + delay, FEEDBACK if not delay and self.reached > ARRIVAL else ARRIVAL)

    def cancel(self, alarm: "Alarm") -> None:
        """It will not ring; nothing happens if it has rung. Costs no more than ringing, and frees its memory:

        at any time the queue holds at most half as many cancelled alarms as others, or CANCELLED_AT_LEAST.
        """
        if alarm.callback is None:
            return
        alarm.callback = alarm.subject = None
        self._cancelled += 1
        if self._cancelled >= CANCELLED_AT_LEAST and 3 * self._cancelled >= len(self._queue):
            self._sweep()

    def cancel_calls(self, callback: "Callable[[Any], None]") -> None:
        """None of the alarms that would call it rings. Looks at the whole queue."""
        for alarm in [entry[3] for entry in self._queue]:
            if alarm is not None and alarm.callback == callback:
                self.cancel(alarm)

    def _sweep(self) -> None:
        """The order in which the others come does not depend on how they lie in the heap."""
        queue = self._queue
        queue[:] = [entry for entry in queue if not _is_cancelled(entry)]
        heapify(queue)
        self._cancelled = 0

    def run_before(self, at_ps: int) -> None:
        """Let everything happen that is due before `at_ps`, and stand there.

        It queues no event of its own, and asks nothing of events but their callbacks.
        """
        queue, pop = self._queue, heappop
        if self.now != at_ps:
            self.passed = 0
        instant_ps = self.now
        while queue and queue[0][0] < at_ps:
            now_ps, order, _, alarm, event = pop(queue)
            if now_ps != instant_ps:
                self.now = instant_ps = now_ps
                self.reached = order
            elif order > self.reached:
                self.reached = order
            if alarm is None:  # as `_happen`, a call less for each
                callbacks, event.callbacks = event.callbacks, None
                for callback in callbacks:
                    callback(event)
                continue
            ring = alarm.callback
            if ring is not None:
                alarm.callback = None
                ring(alarm)
        if self.now != at_ps:
            self.now, self.reached = at_ps, ARRIVAL

    def run(self) -> None:
        """Let everything happen, until nothing is due any more."""
        while self._queue:
            self.step()

    def step(self) -> None:
        """Let the next event happen. Raises EmptySchedule without any."""
        if not self._queue:
            raise EmptySchedule
        at_ps, order, _, alarm, event = heappop(self._queue)
        if self.now != at_ps:
            self.now, self.passed, self.reached = at_ps, 0, order
        elif order > self.reached:
            self.reached = order
        if alarm is None:
            _happen(event)
        else:
            ring = alarm.callback
            if ring is None:
                return
            alarm.callback = None
            ring(alarm)
            if isinstance(alarm, Outside):
                return
        self.passed += 1

    def skip_to(self, at_ps: int) -> None:
        """Stand at `at_ps`, before which nothing is due; what is due at that instant is still to come."""
        assert self.now <= at_ps, (self.now, at_ps)
        assert not self._queue or at_ps <= self._queue[0][0], (at_ps, self._queue[0])
        if self.now != at_ps:
            self.now, self.passed, self.reached = at_ps, 0, ARRIVAL


def _happen(event: Any) -> None:  # noqa: ANN401 -- SimPy's, of which we know what it keeps private
    callbacks, event.callbacks = event.callbacks, None
    for callback in callbacks:
        callback(event)


def _is_cancelled(entry: Entry) -> bool:
    """Of the queue."""
    alarm = entry[3]
    return alarm is not None and alarm.callback is None


class Alarm:
    """Calls `callback(self)` once at `at_ps`, with `subject` along. Cheaper than an event of SimPy's."""

    __slots__ = ("callback", "subject")

    def __init__(
        self,
        env: Timeline,
        at_ps: int,
        callback: "Callable[[Any], None]",
        subject: object = None,
        order: int = ARRIVAL,
    ) -> None:
        self.callback: Callable[[Any], None] | None = callback
        """None once it has rung, and once it is cancelled."""
        self.subject: Any = subject
        env.queued = number = env.queued + 1
        heappush(env._queue, (at_ps, order, number, self, None))  # noqa: SLF001 -- a call less for each


class Outside(Alarm):
    """Wakes somebody outside the model: a replay of the same arrivals does without."""

    __slots__ = ()
