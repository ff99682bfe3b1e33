"""Fair queueing between the owners of keys: a virtual counter of tokens each, and the least goes first.

After Sheng et al., "Fairness in Serving Large Language Models" (arXiv 2401.00588, OSDI 2024), whose counter
grows with every token made. Here a request is charged as a whole when it goes, as in their variant that knows
the length beforehand: so the order changes only when somebody comes or goes, and steps can be planned ahead.
"""

from collections import deque
from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import count
from typing import Generic

from sim.node.waiting_queue import Arrival, Asked, W

PROMPT_PRICE, OUTPUT_PRICE = 1, 2
"""Of a token: theirs. An output token costs more as it takes a step of its own."""
FORGET_AT = 1024
"""So many counters are kept whether or not they matter."""


class Fair(Generic[W]):
    """Within a key first come first served; of keys with equal counters, the one whose first came first.

    A key that had nobody waiting is lifted to the least counter of those that have, or else to that of the
    key that waited last: who was silent has not saved up. So the least counter never falls, and a counter
    that is not above it need not be remembered.
    """

    ranked = False

    def __init__(self) -> None:
        self._lines: dict[str, deque[W]] = {}
        """Of the keys for which somebody waits."""
        self._counters: dict[str, int] = {}
        self._order: list[tuple[int, Arrival, int, str]] = []
        """A heap of the keys; of each key that has a line one entry counts, that in `_entries`."""
        self._entries: dict[str, tuple[int, Arrival, int, str]] = {}
        self._numbers = count()
        self._last_counter = 0  # of the key that left the queue last
        self._charged: set[W] = set()
        """Of those that wait, who went before and was preempted."""
        self._forget_at = FORGET_AT

    def push(self, work: W) -> None:
        key = work.asked.key
        line = self._lines.get(key)
        if line is not None:
            line.append(work)
            return
        if len(self._counters) >= self._forget_at:
            self._forget()
        self._counters[key] = max(self._counters.get(key, 0), self._least())
        self._lines[key] = deque([work])
        self._rank(key, work)

    def requeue(self, work: W) -> None:
        key = work.asked.key
        self._charged.add(work)
        if key in self._lines:
            self._lines[key].appendleft(work)
            self._rank(key, work)
        else:
            self.push(work)

    def head(self) -> W | None:
        key = self._first_key()
        return None if key is None else self._lines[key][0]

    def pop(self) -> W:
        key = self._first_key()
        assert key is not None, "nobody waits"
        line = self._lines[key]
        work = line.popleft()
        if work in self._charged:
            self._charged.discard(work)
        else:
            self._counters[key] += price(work.asked)
        self._popped(key, line)
        return work

    def drop(self, work: W) -> None:
        key = work.asked.key
        line = self._lines[key]
        line.remove(work)
        self._charged.discard(work)
        self._popped(key, line)

    def may_precede_head(self, newcomer: W) -> bool:
        """Its key may be lifted to the counter of the head's, and then the first to come decides."""
        key = self._first_key()
        if key is None:
            return True
        own = newcomer.asked.key
        if own in self._lines:
            return False
        counter, arrived, _, _ = self._entries[key]
        return (max(self._counters.get(own, 0), counter), newcomer.arrived) < (counter, arrived)

    def __iter__(self) -> Iterator[W]:
        return (work for line in self._lines.values() for work in line)

    def _popped(self, key: str, line: deque[W]) -> None:
        if line:
            self._rank(key, line[0])
        else:
            self._last_counter = self._counters[key]
            del self._lines[key], self._entries[key]

    def _rank(self, key: str, first: W) -> None:
        entry = (self._counters[key], first.arrived, next(self._numbers), key)
        self._entries[key] = entry
        heappush(self._order, entry)

    def _first_key(self) -> str | None:
        order, entries = self._order, self._entries
        while order:
            key = order[0][3]
            if entries.get(key) == order[0]:  # numbers are unique; mypyc gives tuples no identity
                return key
            heappop(order)
        return None

    def _least(self) -> int:
        key = self._first_key()
        return self._last_counter if key is None else self._counters[key]

    def _forget(self) -> None:
        """There are never more counters than twice those that matter, or FORGET_AT."""
        least = self._least()
        self._counters = {
            key: counter for key, counter in self._counters.items() if counter > least or key in self._lines
        }
        self._forget_at = max(FORGET_AT, 2 * len(self._counters))


def price(asked: Asked) -> int:
    return PROMPT_PRICE * asked.prompt_tokens + OUTPUT_PRICE * asked.output_tokens
