"""The nodes of a pool that take requests, and how loaded each is: what routing policies choose from.

Nothing here looks at all nodes, so a pool of 8,000 serves a request for about the price of a pool of 8.
"""

from bisect import bisect_left, bisect_right, insort

from sim.node.node import Node
from sim.platform.ticket import Ticket


class Members:
    """In order of their index, which is what "the first of equals" refers to."""

    def __init__(self) -> None:
        self._nodes: dict[int, Node[Ticket]] = {}
        self.indexes: list[int] = []
        """Ascending."""
        self._by_load: list[int] = [0]
        """Entry k is a set of indexes, as the bits of an int: those of the nodes with k requests inside."""
        self._least = 0  # entries below it are empty

    def __len__(self) -> int:
        return len(self.indexes)

    def __getitem__(self, position: int) -> Node[Ticket]:
        return self._nodes[self.indexes[position]]

    def __contains__(self, node: Node[Ticket]) -> bool:
        return node.index in self._nodes

    def add(self, node: Node[Ticket]) -> None:
        assert node.index not in self._nodes, node.index
        self._nodes[node.index] = node
        insort(self.indexes, node.index)
        load = node.outstanding
        self._by_load += [0] * (load + 1 - len(self._by_load))
        self._by_load[load] |= 1 << node.index
        self._least = min(self._least, load)

    def remove(self, node: Node[Ticket]) -> None:
        del self._nodes[node.index]
        del self.indexes[bisect_left(self.indexes, node.index)]
        self._by_load[node.outstanding] ^= 1 << node.index

    def entered(self, node: Node[Ticket]) -> None:
        """`node`, a member, has one request more inside."""
        by_load, load, bit = self._by_load, node.outstanding, 1 << node.index
        by_load[load - 1] ^= bit
        if load == len(by_load):
            by_load.append(bit)
        else:
            by_load[load] |= bit

    def left(self, node: Node[Ticket]) -> None:
        """`node`, which has been a member but need not be one, has one request less inside."""
        by_load, load, bit = self._by_load, node.outstanding, 1 << node.index
        if by_load[load + 1] & bit:
            by_load[load + 1] ^= bit
            by_load[load] |= bit
            if load < self._least:  # noqa: PLR1730 -- for every request, and min() costs thrice as much
                self._least = load

    def least_outstanding(self) -> Node[Ticket]:
        """The node with the fewest requests inside, queued ones included; the first of equals."""
        by_load, least = self._by_load, self._least
        while not by_load[least]:
            least += 1
        self._least = least
        bits = by_load[least]
        return self._nodes[(bits & -bits).bit_length() - 1]  # the lowest bit

    def after(self, index: int) -> Node[Ticket]:
        """The next node behind `index`, round and round."""
        position = bisect_right(self.indexes, index)
        return self[position if position < len(self.indexes) else 0]
