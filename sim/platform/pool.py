"""The nodes of one model, which may come and go while they serve."""

from abc import ABC, abstractmethod

from numpy.random import Generator

from sim.node.node import Node
from sim.node.waiting_queue import FirstComeFirstServed, WaitingQueue
from sim.platform.members import MakeNode, Members
from sim.platform.routing import Routing
from sim.platform.ticket import Ticket


class ModelPool(ABC):
    """The nodes of one model, as the platform sees them. A class, and no protocol, as `Job`."""

    @property
    @abstractmethod
    def size(self) -> int: ...

    @property
    @abstractmethod
    def nodes(self) -> list[Node[Ticket]]: ...

    @abstractmethod
    def node(self, index: int) -> Node[Ticket]: ...

    @abstractmethod
    def takes(self, index: int) -> bool:
        """Whether node `index` serves requests that name it."""
        ...

    @abstractmethod
    def serve(self, ticket: Ticket) -> None: ...

    @abstractmethod
    def left(self, ticket: Ticket) -> None: ...

    @abstractmethod
    def abandoned(self, ticket: Ticket) -> None: ...


class Pool(ModelPool):
    """Requests that no node takes yet wait here, in the order of the pool's own queue."""

    def __init__(
        self,
        routing: Routing,
        rng: Generator,
        members: Members | None = None,
        queue: WaitingQueue[Ticket] | None = None,
    ) -> None:
        """`members` and `queue` are empty; by default plain ones, and first come first served."""
        self.members = self._members = members = Members() if members is None else members
        self.lost: set[int] = set()
        """Nodes that are dead and will be members again."""
        self._choose = routing(members, rng)
        self._entered, self._left = members.entered, members.left
        self._queue: WaitingQueue[Ticket] = queue or FirstComeFirstServed()
        self._held = False
        """Whether somebody may be in the queue: to ask it costs more."""

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

    @property
    def taking(self) -> int:
        """How many nodes take requests."""
        return len(self._members)

    def node(self, index: int) -> Node[Ticket]:
        return self._members.node(index)

    def takes(self, index: int) -> bool:
        return index in self._members

    def open(self, count: int, make: MakeNode) -> None:
        """`count` nodes take requests from the start; each is made when it gets its first."""
        self._members.open(count, make)

    def join(self, node: Node[Ticket]) -> None:
        """From now on `node` takes requests; its index must be new in this pool, unless it comes back."""
        self._members.add(node)
        self._let_in()

    def drain(self, node: Node[Ticket]) -> None:
        """`node` finishes what it has and takes nothing new. It may join again."""
        self._members.remove(node)

    def serve(self, ticket: Ticket) -> None:
        """`ticket` enters the node that it names or the routing policy chooses, or waits for one."""
        if ticket.request.node is not None:
            self._enter(ticket, self._members.node(ticket.request.node))
            return
        if not self._held and self._members.indexes:
            node = self._choose(ticket.request)
            if node is not None:
                if node.submit(ticket):  # as `_enter`, a call less for most requests
                    for note in self._entered:
                        note(ticket)
                return
        self._queue.push(ticket)
        self._held = True
        self._let_in()

    def left(self, ticket: Ticket) -> None:
        """To be told when `ticket` is out of its node, which has counted it off already."""
        for note in self._left:
            note(ticket)
        if self._held:
            self._let_in()

    def take_back(self, tickets: list[Ticket]) -> None:
        """Those that a lost node had, in the order in which they came: before all who wait."""
        for ticket in reversed(tickets):
            self._queue.requeue(ticket)
            self._held = True
        if self._held:
            self._let_in()

    def abandoned(self, ticket: Ticket) -> None:
        """The caller of `ticket`, which waits here and is marked as gone, has left."""
        self._queue.drop(ticket)
        self._let_in()  # whoever comes behind may want less room

    def _enter(self, ticket: Ticket, node: Node[Ticket]) -> None:
        if node.submit(ticket):
            for note in self._entered:
                note(ticket)

    def _let_in(self) -> None:
        """As long as the head of the queue finds a node. Nobody passes it."""
        while (head := self._queue.head()) is not None:
            node = self._choose(head.request) if self._members.indexes else None
            if node is None:
                return
            self._enter(self._queue.pop(), node)
        self._held = False
