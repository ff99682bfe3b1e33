"""Who of those that wait enters a node next.

Both kernels share one such object, so an order is written once and their equality covers it. Work is pushed
in the same order by both, but not at the same boundaries: the fast one has none inside a stretch of steps.
"""

from collections import deque
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from itertools import count
from typing import Any, Generic, Protocol, TypeVar

Arrival = tuple[int, bool, int]
"""Time, whether that instant's boundary was over, number: who came first, within an instant too."""


class Asked(Protocol):
    """What an order may look at."""

    @property
    def prompt_tokens(self) -> int: ...

    @property
    def output_tokens(self) -> int: ...

    @property
    def priority(self) -> int:
        """The lower goes first."""
        ...

    @property
    def key(self) -> str:
        """Whose work it is."""
        ...


class Waiting(Protocol):
    """Somebody in a queue: a sequence inside a kernel, or a request before it."""

    @property
    def arrived(self) -> Arrival: ...

    @property
    def gone(self) -> bool: ...

    @property
    def asked(self) -> Asked:
        """Not of one who is gone."""
        ...


W = TypeVar("W", bound=Waiting)


class WaitingQueue(Protocol[W]):
    @property
    def ranked(self) -> bool:
        """Whether the running sequences of the highest priority number lose their KV blocks first.

        Else those admitted last.
        """
        ...

    def push(self, work: W, /) -> None:
        """One more waits. They come in the order of `arrived`."""
        ...

    def requeue(self, work: W, /) -> None:
        """Back after a preemption. Of several at one boundary the one admitted last comes first."""
        ...

    def head(self) -> W | None:
        """Who enters next, None while nobody waits. Who lacks KV blocks stays the head: nobody overtakes it.

        May change by what happens to the queue alone, not by steps that pass.
        """
        ...

    def pop(self) -> W:
        """The head, which enters."""
        ...

    def drop(self, work: W) -> None:
        """`work` leaves while it waits, and is marked `gone`: it must not come up again.

        It need not be looked for, but keeps nothing except its place: its `sequence` is taken from it.
        """
        ...

    def may_precede_head(self, newcomer: W) -> bool:
        """Whether `newcomer`, not pushed yet, could go before the present head.

        Asked while steps are planned ahead, to end them early. A boundary at which nobody enters changes
        nothing, so too often yes costs time, and too often no costs exactness. What is compared must be all
        that the order compares: `arrived` decides among equals, and a reaction to what happened at this
        instant can have the lower number.
        """
        ...

    def __iter__(self) -> Iterator[W]:
        """All who wait, in any order that does not depend on when they were pushed."""
        ...


class FirstComeFirstServed(Generic[W]):
    """Who was preempted goes to the front: everybody who waits came later."""

    __slots__ = ("_line", "pop", "push", "requeue")
    ranked = False

    def __init__(self) -> None:
        self._line: deque[W] = deque()
        # The line's own methods, a call less each on every request's way.
        self.push: Callable[[W], None] = self._line.append
        self.requeue: Callable[[W], None] = self._line.appendleft
        self.pop: Callable[[], W] = self._line.popleft

    def head(self) -> W | None:
        line = self._line
        while line:
            work = line[0]
            if not work.gone:
                return work
            line.popleft()
        return None

    def drop(self, work: W) -> None:
        """It stays in the line until it comes up: looking for it would cost the length of the line."""

    def may_precede_head(self, newcomer: W) -> bool:
        del newcomer
        return False

    def __iter__(self) -> Iterator[W]:
        return (work for work in self._line if not work.gone)


class Sorted(Generic[W]):
    """By a constant of the request, then by arrival. Who was preempted goes back to where it came from.

    The completions of one request arrive as equals: those go in the order in which they were pushed, and one
    that was preempted before the others.
    """

    def __init__(self, key: Callable[[Asked], Any], *, ranked: bool = False) -> None:
        """`key` answers numbers, or tuples of them: whatever is ordered among its like."""
        self.ranked = ranked
        self._key = key
        self._heap: list[tuple[Any, Arrival, int, W]] = []
        self._pushes = count(1)

    def push(self, work: W) -> None:
        heappush(self._heap, (self._key(work.asked), work.arrived, next(self._pushes), work))

    def requeue(self, work: W) -> None:
        heappush(self._heap, (self._key(work.asked), work.arrived, -next(self._pushes), work))

    def head(self) -> W | None:
        heap = self._heap
        while heap:
            work = heap[0][3]
            if not work.gone:
                return work
            heappop(heap)
        return None

    def pop(self) -> W:
        return heappop(self._heap)[3]

    def drop(self, work: W) -> None:
        """It stays in the heap until it comes up."""

    def may_precede_head(self, newcomer: W) -> bool:
        return self.head() is None or (self._key(newcomer.asked), newcomer.arrived) < self._heap[0][:2]

    def __iter__(self) -> Iterator[W]:
        return (work for *_, work in sorted(self._heap, key=_place) if not work.gone)


def _place(entry: tuple[Any, Arrival, int, object]) -> tuple[Any, Arrival, int]:
    return entry[:3]
