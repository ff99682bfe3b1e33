"""Which node of a pool takes a request. A policy is a function that makes a chooser; add it to the table."""

from collections.abc import Callable, Iterator

from numpy.random import Generator, default_rng

from sim.node.node import Node
from sim.platform.holders import Holders
from sim.platform.loads import KvTokens, Outstanding, Places, Shares
from sim.platform.members import Members, Signal
from sim.platform.ticket import Ticket
from traffic.request import Request

Chooser = Callable[[Request], Node[Ticket] | None]
"""Called when there is at least one member. None: the request waits in the pool's own queue."""
Routing = Callable[[Members, Generator], Chooser]
BLOCK = 256
"""Draws at a time."""


def least_outstanding(members: Members, _rng: Generator) -> Chooser:
    """The node with the fewest requests inside, queued ones included; the first of equals."""
    node, least = members.node, members.signal(Outstanding(members)).least
    return lambda _request: node(least())


def least_kv(members: Members, _rng: Generator) -> Chooser:
    """The node whose requests have the fewest tokens, prompts and answers so far; the first of equals."""
    node, least = members.node, members.signal(KvTokens(members)).least
    return lambda _request: node(least())


def round_robin(members: Members, _rng: Generator) -> Chooser:
    latest = -1

    def choose(_request: Request) -> Node[Ticket]:
        nonlocal latest
        latest = members.after(latest)
        return members.node(latest)

    return choose


def random_node(members: Members, rng: Generator) -> Chooser:
    return lambda _request: members[int(rng.integers(len(members)))]


def power_of_two(members: Members, rng: Generator) -> Chooser:
    """Of two different nodes at random the one with fewer requests inside; the first drawn of equals."""
    load, draws = members.signal(Outstanding(members)), _uniform(rng)

    def choose(_request: Request) -> Node[Ticket]:
        count = len(members)
        first, step = int(next(draws) * count), int(next(draws) * (count - 1))
        one, other = members.indexes[first], members.indexes[(first + 1 + step) % count]
        return members.node(one if load[one] <= load[other] else other)

    return choose


def weighted(members: Members, rng: Generator) -> Chooser:
    """At random, in proportion to the weights of the nodes."""
    shares, draws = members.watch(Shares(members)), _uniform(rng)
    return lambda _request: members.node(shares.index_at(next(draws)))


def central_queue(members: Members, _rng: Generator) -> Chooser:
    """Nodes have no queue: who finds no free place in any waits in that of the pool."""
    places = members.watch(Places(members.places))

    def choose(request: Request) -> Node[Ticket] | None:
        index = places.roomy(request.samples)
        return None if index is None else members.node(index)

    return choose


def prefix_affinity(members: Members, _rng: Generator) -> Chooser:
    """The node whose KV cache holds most of the prompt; without any, or too far ahead, the least loaded one.

    Of nodes that hold as much, the one with the fewest requests inside.
    """
    load, holders, limit = members.signal(Outstanding(members)), members.watch(Holders()), members.affinity

    def choose(request: Request) -> Node[Ticket]:
        least = load.least()
        if not request.prefix:
            return members.node(least)
        best, most = least, (members.cached_tokens(least, request), -load[least])
        for index in holders.of(request.prefix):
            if limit.too_far(load[index], load[least]):
                continue
            found = members.cached_tokens(index, request), -load[index]
            if found > most:
                best, most = index, found
        return members.node(best)

    return choose


def _uniform(rng: Generator) -> Iterator[float]:
    """From 0 on, below 1."""
    while True:
        yield from rng.random(BLOCK).tolist()


ROUTING: dict[str, Routing] = {
    "least_outstanding": least_outstanding,
    "least_kv": least_kv,
    "round_robin": round_robin,
    "random": random_node,
    "power_of_two": power_of_two,
    "weighted": weighted,
    "central_queue": central_queue,
    "prefix_affinity": prefix_affinity,
}
"""A new one is a function and a line here: docs/extending.md."""


def signals_of(policy: str) -> list[Signal]:
    """What it goes by that routers can know late."""
    found: list[Signal] = []

    def note(signal: Signal) -> Signal:
        found.append(signal)
        return signal

    ROUTING[policy](Members(as_seen=note), default_rng(0))
    return found


def goes_by(policy: str, kind: type[Shares] | type[Holders]) -> bool:
    members = Members()
    ROUTING[policy](members, default_rng(0))
    return any(isinstance(load, kind) for load in members.loads)
