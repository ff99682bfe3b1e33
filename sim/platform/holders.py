"""Which nodes have lately had prompts that begin like one: where a router looks for a cached prefix first."""

from collections import OrderedDict

from sim.platform.loads import index_of
from sim.platform.ticket import Ticket
from traffic.request import Prefix

MOST_HOLDERS = 4
"""Nodes that are remembered for one origin of tokens, so that a decision asks no more caches than that."""
MOST_ORIGINS = 65_536
"""Remembered at a time: those that came last."""


class Holders:
    """As the approximate trees of real routers: where requests went, not what caches gave up since."""

    def __init__(self, most_origins: int = MOST_ORIGINS) -> None:
        self._most_origins = most_origins
        self._members: set[int] = set()
        self._nodes: OrderedDict[str, dict[int, None]] = OrderedDict()
        """By the name of an origin, those that had it last behind."""

    def join(self, index: int) -> None:
        self._members.add(index)

    def leave(self, index: int) -> None:
        self._members.discard(index)

    def entered(self, ticket: Ticket) -> None:
        index, nodes = index_of(ticket), self._nodes
        for name, _ in ticket.request.prefix:
            holders = nodes.setdefault(name, {})
            nodes.move_to_end(name)
            holders.pop(index, None)
            holders[index] = None
            if len(holders) > MOST_HOLDERS:
                del holders[next(iter(holders))]
        while len(nodes) > self._most_origins:
            nodes.popitem(last=False)

    def left(self, ticket: Ticket) -> None: ...

    def of(self, prefix: Prefix) -> list[int]:
        """Members that had the longest beginning of such a prompt that anybody had; perhaps none."""
        for name, _ in reversed(prefix):
            found = [index for index in self._nodes.get(name, ()) if index in self._members]
            if found:
                return found
        return []
