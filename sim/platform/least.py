"""Which of many indexes has the least value, the lowest of equals, without looking at all of them."""

from collections.abc import Callable
from heapq import heapify, heappop, heappush, heapreplace
from typing import Final

INDEX_BITS: Final = 20
"""An entry is value << INDEX_BITS | index: one int, which compares faster than a pair."""
_INDEX: Final = (1 << INDEX_BITS) - 1
SPARE_ENTRIES = 64
"""So many outdated entries are kept, however few indexes there are."""
FEW: Final = 16
"""Of so many indexes the least is sooner found than kept: a heap costs as much as to look at some thirty."""


class Least:
    """Whoever changes a value tells. Values are not negative.

    Invariant: of more than FEW indexes the entry that each has in `_entries` is in the heap, all others there
    are outdated. Of fewer there is no heap.
    """

    __slots__ = ("_entries", "_heap", "_most")

    def __init__(self) -> None:
        self._entries: dict[int, int] = {}
        self._heap: list[int] = []
        self._most = SPARE_ENTRIES  # entries in the heap

    def __getitem__(self, index: int) -> int:
        return self._entries[index] >> INDEX_BITS

    def __contains__(self, index: int) -> bool:
        return index in self._entries

    def add(self, index: int, value: int) -> None:
        assert 0 <= index <= _INDEX, index
        entries = self._entries
        entries[index] = entry = value << INDEX_BITS | index
        self._most += 2
        if self._heap:
            heappush(self._heap, entry)
        elif len(entries) > FEW:
            self._tidy()

    def remove(self, index: int) -> None:
        del self._entries[index]
        self._most -= 2
        if len(self._entries) <= FEW:
            self._heap.clear()
        elif len(self._heap) > self._most:
            self._tidy()

    def put(self, index: int, value: int) -> None:
        """`index`, which need not be among those looked after, has this value now."""
        entries = self._entries
        if index not in entries:
            return
        heap, entry = self._heap, value << INDEX_BITS | index
        if not heap:
            entries[index] = entry
            return
        before = entries[index]
        entries[index] = entry
        if heap[0] == before:  # as after a decision, which raises the least
            heapreplace(heap, entry)
            return
        heappush(heap, entry)
        if len(heap) > self._most:
            self._tidy()

    def least(self) -> int:
        """The index. There must be one."""
        heap, entries = self._heap, self._entries
        if not heap:
            least = -1
            for entry in entries.values():  # compiled a third of what `min` takes
                if entry < least or least < 0:
                    least = entry
            return least & _INDEX
        while True:
            entry = heap[0]
            index = entry & _INDEX
            if entries.get(index) == entry:
                return index
            heappop(heap)

    def _tidy(self) -> None:
        self._heap[:] = self._entries.values()
        heapify(self._heap)


class LeastOfGrowing:
    """Values may rise at any time and nobody need tell; whoever lowers one calls `lowered`.

    Invariant: of each index one entry counts, that in `_entries`, and it is not above the present value. So
    the first of all entries that agrees with its value belongs to the least. One that is found too low is put
    where it belongs: a value that rises costs nothing before it comes up.
    """

    __slots__ = ("_entries", "_heap", "_value")

    def __init__(self, value: Callable[[int], int]) -> None:
        """`value` of an index is not negative."""
        self._value = value
        self._entries: dict[int, int] = {}
        self._heap: list[int] = []

    def add(self, index: int) -> None:
        assert 0 <= index <= _INDEX, index
        self._push(index, self._value(index) << INDEX_BITS | index)

    def remove(self, index: int) -> None:
        del self._entries[index]  # what is left in the heap no longer counts

    def lowered(self, index: int) -> None:
        """The value of `index`, which need not be among those looked after, may be less than before."""
        entry = self._entries.get(index)
        if entry is not None:
            now = self._value(index) << INDEX_BITS | index
            if now < entry:
                self._push(index, now)

    def least(self) -> int:
        """The index. There must be one."""
        heap, entries, value = self._heap, self._entries, self._value
        while True:
            entry = heap[0]
            index = entry & _INDEX
            if entries.get(index) != entry:
                heappop(heap)
                continue
            now = value(index) << INDEX_BITS | index
            if now == entry:
                return index
            entries[index] = now
            heapreplace(heap, now)

    def _push(self, index: int, entry: int) -> None:
        entries, heap = self._entries, self._heap
        entries[index] = entry
        heappush(heap, entry)
        if len(heap) > 2 * len(entries) + SPARE_ENTRIES:
            heap[:] = entries.values()
            heapify(heap)
