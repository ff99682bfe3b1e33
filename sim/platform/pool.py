"""The nodes of one model, which may come and go while they serve."""

from collections import deque

from numpy.random import Generator

from sim.node.node import Node
from sim.platform.members import MakeNode, Members
from sim.platform.routing import Routing
from sim.platform.ticket import Ticket


class Pool:
    """Requests that come while no node takes any wait here, in order, for the next that joins."""

    def __init__(self, routing: Routing, rng: Generator) -> None:
        self._members = members = Members()
        self._choose = routing(members, rng)
        self._waiting: deque[Ticket] = deque()

    @property
    def size(self) -> int:
        """How many nodes ever joined."""
        return self._members.ever

    @property
    def nodes(self) -> list[Node[Ticket]]:
        """Those that ever had a request, or joined by themselves: their records outlive their service.

        Whoever of `size` is not among them has never done anything.
        """
        return list(self._members.made.values())

    def node(self, index: int) -> Node[Ticket]:
        return self._members.node(index)

    def open(self, count: int, make: MakeNode) -> None:
        """`count` nodes take requests from the start; each is made when it gets its first."""
        self._members.open(count, make)

    def join(self, node: Node[Ticket]) -> None:
        """From now on `node` takes requests; its index must be new in this pool, unless it comes back."""
        self._members.add(node)
        while self._waiting:
            ticket = self._waiting.popleft()
            if not ticket.outcome:  # else the caller left meanwhile
                self.serve(ticket)

    def drain(self, node: Node[Ticket]) -> None:
        """`node` finishes what it has and takes nothing new. It may join again."""
        self._members.remove(node)

    def serve(self, ticket: Ticket) -> None:
        """`ticket` enters the node that the routing policy chooses."""
        members = self._members
        if not members.indexes:
            self._waiting.append(ticket)
            return
        if self._choose(ticket.request).submit(ticket):
            for load in members.loads:
                load.entered(ticket)

    def left(self, ticket: Ticket) -> None:
        """To be told when `ticket` is out of its node, which has counted it off already."""
        for load in self._members.loads:
            load.left(ticket)
