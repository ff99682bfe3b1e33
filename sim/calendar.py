"""Callbacks at absolute times on SimPy's event queue, and the order of things at one instant.

This is the only module that touches what SimPy keeps private (`_now`, `_queue`, `_eid`, `_ok`, `_value`): a
bare callback on an event costs a fifth of a process, and absolute times need no subtraction.
`tests/sim/test_calendar.py` fails when SimPy changes one of them.
"""

from collections.abc import Callable
from heapq import heappush
from typing import Any

from simpy import Environment, Event

ARRIVAL = 0
"""Requests on their way, cancels, limits: before the boundaries of the same instant."""
BOUNDARY = 1
"""A node's step ends."""
FEEDBACK = 2
"""What an answer without delay sets off: it meets every node already in its next step."""


class Timeline(Environment):
    """SimPy's environment, with time as whole picoseconds from 0 on."""

    def __init__(self) -> None:
        super().__init__(initial_time=0)

    @property
    def now(self) -> int:
        return self._now  # type: ignore[return-value]


class Alarm(Event):
    """Calls `callback(self)` once at `at_ps`, with `subject` along.

    It cannot be cancelled: whoever sets it ignores one that is stale.
    """

    def __init__(
        self,
        env: Timeline,
        at_ps: int,
        callback: "Callable[[Any], None]",
        subject: object = None,
        order: int = ARRIVAL,
    ) -> None:
        self.env = env
        self.callbacks = [callback]
        self._ok = True
        self._value = None
        self.subject: Any = subject
        queue: list[Any] = env._queue  # noqa: SLF001
        heappush(queue, (at_ps, order, next(env._eid), self))  # noqa: SLF001
