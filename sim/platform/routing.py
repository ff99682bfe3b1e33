"""Which node of a pool takes a request. A policy is a function that makes a chooser; add it to the table."""

from collections.abc import Callable

from numpy.random import Generator

from sim.node.node import Node
from sim.platform.loads import Outstanding
from sim.platform.members import Members
from sim.platform.ticket import Ticket
from traffic.request import Request

Chooser = Callable[[Request], Node[Ticket]]
"""Called when there is at least one member."""
Routing = Callable[[Members, Generator], Chooser]


def least_outstanding(members: Members, _rng: Generator) -> Chooser:
    """The node with the fewest requests inside, queued ones included; the first of equals."""
    load = members.watch(Outstanding(members))
    return lambda _request: members.node(load.least())


def round_robin(members: Members, _rng: Generator) -> Chooser:
    latest = -1

    def choose(_request: Request) -> Node[Ticket]:
        nonlocal latest
        latest = members.after(latest)
        return members.node(latest)

    return choose


def random_node(members: Members, rng: Generator) -> Chooser:
    return lambda _request: members[int(rng.integers(len(members)))]


ROUTING: dict[str, Routing] = {
    "least_outstanding": least_outstanding,
    "round_robin": round_robin,
    "random": random_node,
}
"""A new one is a function and a line here: docs/extending.md."""
