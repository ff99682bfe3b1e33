"""Every queue order, and a pool that writes down its calls: the seams of a kernel at work."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from sim.node.kv_pool import CountingPool
from sim.node.prefix_pool import PrefixPool
from sim.node.queue_orders import QUEUE_ORDERS
from sim.node.waiting_queue import WaitingQueue
from sim.node.work import Work
from tests.support.naive_prefix_pool import NaivePrefixPool


class LastComeFirstServed:
    """The order that lets newcomers pass most: every one of them precedes everybody."""

    ranked = False

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self.push = self.requeue = self._stack.append

    def head(self) -> Any:
        while self._stack and self._stack[-1].gone:
            self._stack.pop()
        return self._stack[-1] if self._stack else None

    def pop(self) -> Any:
        return self._stack.pop()

    def drop(self, work: Any) -> None:
        assert work.gone

    def may_precede_head(self, newcomer: Any) -> bool:
        return not newcomer.gone

    def __iter__(self) -> Iterator[Any]:
        return (work for work in self._stack if not work.gone)


QUEUES: dict[str, Callable[[], WaitingQueue[Any]]] = {
    **QUEUE_ORDERS,
    "last_come": LastComeFirstServed,
}


if TYPE_CHECKING:
    AnyPool = CountingPool
else:
    AnyPool = object


class Log(AnyPool):
    """What comes in one go under one engine and step by step under the other is added up.

    So that both logs must be equal: who was admitted and who gave back, in order, and how many blocks those
    who ran had taken in between.
    """

    def __init__(self, blocks: int, block_size: int) -> None:
        super().__init__(blocks, block_size)
        self.log: list[tuple[object, ...]] = []
        self._taken = 0

    def contents(self) -> tuple[int, ...]:
        """What else a pool holds, in numbers."""
        return ()

    def admit(self, work: Work, left: int) -> int:
        taken, free = self._taken, self.free
        new = super().admit(work, left)
        self._taken = taken  # whether or not it has called `take`
        if new:
            self._taken += free - self.free
            self._note("admit", work.sequence.number, work.cached, new)
        return new

    def grow(self, work: Work, held: int, tokens: int) -> None:
        taken = self._taken + self.more(work, held, tokens)
        super().grow(work, held, tokens)
        self._taken = taken  # whether or not it has called `take`
        assert self.free >= 0

    def take(self, blocks: int) -> None:
        self._taken += blocks
        super().take(blocks)
        assert self.free >= 0

    def shrink(self, work: Work, held: int, tokens: int) -> None:
        taken, free = self._taken, self.free
        super().shrink(work, held, tokens)
        self._taken = taken  # whether or not it has called `take`
        self._note("shrink", work.sequence.number, self.free - free)

    def give_back(self, work: Work, tokens: int) -> None:
        self._note("give back", work.sequence.number, tokens)
        super().give_back(work, tokens)

    def reset(self) -> None:
        self._taken = 0  # what the lost step had taken is not comparable: it may lie inside a stretch
        super().reset()
        self._note("reset")

    def _note(self, *what: object) -> None:
        self.log.append((self._taken, *what, *self.contents()))
        self._taken = 0


class LoggingPool(Log, CountingPool):
    pass


class LoggingPrefixPool(Log, PrefixPool):
    def contents(self) -> tuple[int, ...]:
        runs = self._present()
        return runs.present, runs.unused


class LoggingNaivePool(Log, NaivePrefixPool):
    def contents(self) -> tuple[int, ...]:
        assert self.free == self.blank + len(self.unused)
        return len(self.holders), len(self.unused)
