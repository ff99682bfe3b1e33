"""Which node of a pool takes a request. A policy is a function that makes a chooser; add it to the table."""

from collections.abc import Callable, Sequence
from itertools import cycle
from operator import attrgetter

from numpy.random import Generator

from sim.node import Node

Chooser = Callable[[], Node]
Routing = Callable[[Sequence[Node], Generator], Chooser]


def least_outstanding(nodes: Sequence[Node], _rng: Generator) -> Chooser:
    """The node with the fewest requests inside, queued ones included; the first of equals."""
    outstanding = attrgetter("outstanding")
    return lambda: min(nodes, key=outstanding)


def round_robin(nodes: Sequence[Node], _rng: Generator) -> Chooser:
    return cycle(nodes).__next__


def random_node(nodes: Sequence[Node], rng: Generator) -> Chooser:
    return lambda: nodes[int(rng.integers(len(nodes)))]


ROUTING: dict[str, Routing] = {
    "least_outstanding": least_outstanding,
    "round_robin": round_robin,
    "random": random_node,
}
