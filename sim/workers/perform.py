"""Many tasks on an executor: always enough at work, lost ones again, and in their order if asked.

Tasks are drawn as places become free, so they may come from a generator, and no more are held than the
executor works on.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from sim.workers import interrupt
from sim.workers.executor import Ended, Executor, Tell, Work

TRIES = 3
"""Of a task whose process was killed, or whose machine was out of memory or disk."""

AHEAD = 2
"""Results that are held for one that comes earlier: at most so many times the places."""


@dataclass(slots=True)
class _Attempt:
    task: object
    tries: int = 1
    share: float = 0.0


def perform(
    executor: Executor,
    work: Work,
    tasks: Iterable[object],
    *,
    total: int,
    what: str,
    tell: Tell,
    in_order: bool = False,
) -> Iterator[Ended]:
    """What became of each task, as they end or in their own order. `total` is how many come.

    After an interrupt fewer: what was at work is waited for, and failures are left out. In order these are
    the ones before the first that is missing.
    """
    performance = _Performance(executor, work, tasks, total, what, tell)
    return performance.in_order() if in_order else performance.as_they_end()


@dataclass(slots=True)
class _Performance:
    executor: Executor
    work: Work
    tasks: Iterable[object]
    total: int
    what: str
    tell: Tell
    done: int = 0
    at_work: dict[int, _Attempt] = field(default_factory=dict)
    held: dict[int, Ended] = field(default_factory=dict)
    """In order: those that ended before one that comes earlier."""

    def in_order(self) -> Iterator[Ended]:
        following = 0
        for ended in self.as_they_end():
            self.held[ended.number] = ended
            while following in self.held:
                yield self.held.pop(following)
                following += 1

    def as_they_end(self) -> Iterator[Ended]:
        coming = enumerate(self.tasks)
        ahead: deque[tuple[int, object]] = deque()
        while True:
            self._fill(ahead, coming)
            if not self.at_work:
                return
            ended = self._next()
            if ended is not None:
                self._fill(ahead, coming)  # before anybody looks at the result: a place is free
                yield ended

    def _fill(self, ahead: "deque[tuple[int, object]]", coming: Iterator[tuple[int, object]]) -> None:
        """One task is drawn before there is a place for it, so that none waits for it to be made."""
        places = min(self.executor.places, AHEAD * self.executor.places - len(self.held))
        while len(self.at_work) < places and not interrupt.asked():
            ahead.extend(islice(coming, 1 - len(ahead)))
            if not ahead:
                return
            number, task = ahead.popleft()
            self._begin(number, _Attempt(task))
        ahead.extend(islice(coming, 1 - len(ahead)))

    def _begin(self, number: int, attempt: _Attempt) -> None:
        self.at_work[number] = attempt
        self.executor.submit(number, self.work, attempt.task)

    def _next(self) -> Ended | None:
        """None for one that is tried again, or has failed after an interrupt."""
        ended = self.executor.ended(self._hear)
        attempt = self.at_work.pop(ended.number)
        failure = ended.failure
        if failure is not None:
            if interrupt.asked():
                return None
            if not failure.final and attempt.tries < TRIES:
                self._begin(ended.number, _Attempt(attempt.task, attempt.tries + 1))
                return None
            if not failure.final:
                failure = failure._replace(why=f"it failed {TRIES} times, the last time so: {failure.why}")
        self.done += 1
        self._tell()
        return ended._replace(failure=failure)

    def _hear(self, number: int, share: float) -> None:
        self.at_work[number].share = share
        self._tell()

    def _tell(self) -> None:
        share = sum(attempt.share for attempt in self.at_work.values())
        self.tell((self.done + share) / self.total, f"{self.done} of {self.total} {self.what}")
