"""The nodes of a pool: who takes requests, and what routing policies see of them.

Nothing here looks at all nodes, and a node is not made before it is chosen. So a pool of 8,000 serves a
request for about the price of a pool of 8.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, SupportsIndex, TypeVar

from sim.node.node import Node
from sim.platform.ticket import Ticket
from traffic.request import Request

MakeNode = Callable[[int], Node[Ticket]]
"""From its index."""


class Load(Protocol):
    """A figure of each node that a routing policy goes by; `sim.platform.loads` has those that there are."""

    def join(self, index: int) -> None:
        """Node `index` takes requests from now on, and may have some from before."""
        ...

    def leave(self, index: int) -> None:
        """It takes no more, but is still told what leaves it."""
        ...

    def entered(self, ticket: Ticket) -> None:
        """`ticket` is at its node."""
        ...

    def left(self, ticket: Ticket) -> None:
        """`ticket` is out of its node, which has counted it off already."""
        ...


class Signal(Load, Protocol):
    """A load that nodes report, and that routers can therefore know late."""

    grows_by_itself: bool
    """Whether it changes while nothing comes and nothing leaves."""

    def __getitem__(self, index: int) -> int: ...

    def least(self) -> int:
        """The index of the member that has least; the first of equals."""
        ...


L = TypeVar("L", bound=Load)


@dataclass(frozen=True, slots=True)
class AffinityLimit:
    """When a node with a cached prefix is too busy to be worth it."""

    ahead: int = 64
    ratio: float = 1.5
    """Both as in SGLang's router (`balance_abs_threshold`, `balance_rel_threshold`; from memory)."""

    def too_far(self, requests: int, least: int) -> bool:
        return requests - least > self.ahead and requests > self.ratio * least


class Nodes(dict[int, Node[Ticket]]):
    """By index, of all that were ever asked for; `make` makes who is not here yet."""

    make: MakeNode

    def __missing__(self, index: int) -> Node[Ticket]:
        node = self[index] = self.make(index)
        return node


class Members:
    """In order of their index, which is what "the first of equals" refers to."""

    def __init__(
        self,
        *,
        weights: Mapping[int, float] | None = None,
        places: int = 1,
        affinity: AffinityLimit | None = None,
        as_seen: Callable[[Signal], Signal] | None = None,
    ) -> None:
        """`weights` by index, 1 where none is stated; `places` for sequences in each node.

        `as_seen` makes of a signal what reaches the router; by default that is the signal itself.
        """
        self.weights = weights or {}
        self.places = places
        self.affinity = affinity or AffinityLimit()
        self._as_seen = as_seen
        self.indexes: list[int] = []
        """Of those that take requests, ascending."""
        self.made = Nodes()
        """Of all that ever were members: the others have never had a request."""
        self.node: Callable[[int], Node[Ticket]] = self.made.__getitem__
        """Which has index so-and-so; it is made if it has to be."""
        self.ever = 0
        """How many ever were members."""
        self.loads: list[Load] = []
        """What the policy goes by, hence what is kept up to date."""
        self.entered: list[Callable[[Ticket], None]] = []
        self.left: list[Callable[[Ticket], None]] = []
        """Their methods: made once, as each look makes another."""
        self._opened = 0

    def __len__(self) -> int:
        return len(self.indexes)

    def __getitem__(self, position: SupportsIndex) -> Node[Ticket]:
        """By its place among those that take requests; one that numpy drew will do."""
        return self.node(self.indexes[position])

    def __contains__(self, index: int) -> bool:
        """Whether node `index` takes requests."""
        position = bisect_left(self.indexes, index)
        return self.indexes[position : position + 1] == [index]

    def outstanding(self, index: int) -> int:
        """Requests inside node `index`, queued ones included."""
        node = self.made.get(index)
        return 0 if node is None else node.outstanding

    def cached_tokens(self, index: int, request: Request) -> int:
        """Of its prompt, in the KV cache of node `index`."""
        node = self.made.get(index)
        return 0 if node is None else node.cached_tokens(request)

    def watch(self, load: L) -> L:
        """Keep `load` up to date from now on."""
        self.loads.append(load)
        self.entered.append(load.entered)
        self.left.append(load.left)
        for index in self.indexes:
            load.join(index)
        return load

    def signal(self, signal: Signal) -> Signal:
        """As `watch`, of a load that may be known late."""
        return self.watch(signal if self._as_seen is None else self._as_seen(signal))

    def open(self, count: int, make: MakeNode, first: int = 0) -> None:
        """The first members, with `count` indexes from `first` on; `make` makes each when it is chosen."""
        assert not self.ever
        self.made.make, self._opened, self.ever = make, first + count, count
        self.indexes = list(range(first, first + count))
        for load in self.loads:
            for index in self.indexes:
                load.join(index)

    def add(self, node: Node[Ticket]) -> None:
        index = node.index
        if index not in self.made:
            assert index >= self._opened, f"there is a node {index}"
            self.made[index] = node
            self.ever += 1
        assert index not in self, index
        insort(self.indexes, index)
        for load in self.loads:
            load.join(index)

    def remove(self, node: Node[Ticket]) -> None:
        del self.indexes[bisect_left(self.indexes, node.index)]
        for load in self.loads:
            load.leave(node.index)

    def after(self, index: int) -> int:
        """The next member behind `index`, round and round."""
        position = bisect_right(self.indexes, index)
        return self.indexes[position if position < len(self.indexes) else 0]
