"""The nodes of one model, which may come and go while they serve."""

from collections import deque
from collections.abc import Callable

from numpy.random import Generator

from sim.node.node import Node
from sim.platform.members import Members
from sim.platform.routing import Routing
from sim.platform.ticket import Ticket


class Pool:
    """Requests that come while no node takes any wait here, in order, for the next that joins."""

    def __init__(self, routing: Routing, rng: Generator) -> None:
        self.nodes: list[Node[Ticket]] = []
        """Everyone who ever joined, in that order: their records outlive their service."""
        self._members = members = Members()
        self._choose = routing(members, rng)
        self.left: Callable[[Node[Ticket]], None] = members.left
        """To be told when one request is out of a node, which has counted it off already."""
        self._waiting: deque[Ticket] = deque()

    def join(self, node: Node[Ticket]) -> None:
        """From now on `node` takes requests; its index must be new in this pool."""
        self._members.add(node)
        if node not in self.nodes:
            self.nodes.append(node)
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
        node = self._choose(ticket.request)
        node.submit(ticket)
        members.entered(node)
