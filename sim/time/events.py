"""Events and processes of SimPy's that know absolute times. Not compiled, as SimPy is not."""

from collections.abc import Generator
from typing import Any, cast

from simpy import Event, Process

from sim.time.timeline import Timeline


class OwnValue(Event):
    """An event whose value is itself, without a reference to itself. `happen_at` alone makes it happen.

    It goes when nobody needs it any more: a cycle would wait for the garbage collector, which looks seldom.
    """

    _ok = True

    @property
    def _value(self) -> "OwnValue":
        return self

    def __init__(self, timeline: Timeline) -> None:
        super().__init__(timeline.simpy)

    def happen_at(self, at_ps: int, order: int) -> None:
        """As `Timeline.succeed_at`."""
        cast("Timeline", self.env).put(self, at_ps, order)


class Begun(Process):
    """A process that takes its first step at `at_ps`, as an arrival does. SimPy's own begin at once."""

    def __init__(self, timeline: Timeline, story: Generator[Event, Any, object], at_ps: int) -> None:
        Event.__init__(self, timeline.simpy)
        self._generator = story
        self._target = start = Event(timeline.simpy)
        assert start.callbacks is not None
        start.callbacks.append(self._resume)
        timeline.succeed_at(start, None, at_ps)
