"""How loaded nodes are, as routing policies see it."""

from sim.platform.least import Least
from sim.platform.members import Members
from sim.platform.ticket import Ticket


class Outstanding:
    """Requests inside each node, queued ones included."""

    def __init__(self, members: Members) -> None:
        self._least = Least(members.outstanding)
        self.join, self.leave = self._least.add, self._least.remove
        self.least = self._least.least

    def entered(self, ticket: Ticket) -> None: ...

    def left(self, ticket: Ticket) -> None:
        assert ticket.node is not None
        self._least.lowered(ticket.node.index)
