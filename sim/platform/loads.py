"""How loaded nodes are, as routing policies see it."""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable
from itertools import accumulate

from sim.node.node import Node
from sim.platform.least import Least, LeastOfGrowing
from sim.platform.members import Members, Signal
from sim.platform.ticket import Ticket
from sim.time.timeline import Alarm, Timeline


class Outstanding:
    """Requests inside each node, queued ones included."""

    grows_by_itself = False

    def __init__(self, members: Members) -> None:
        self._members = members
        self._least = Least()
        self.leave, self.least = self._least.remove, self._least.least
        self.entered = self.left = self._changed

    def __getitem__(self, index: int) -> int:
        least = self._least  # knows what the members count, and leaves the nodes alone
        return least[index] if index in least else self._members.outstanding(index)

    def join(self, index: int) -> None:
        self._least.add(index, self._members.outstanding(index))

    def _changed(self, ticket: Ticket) -> None:
        node: Node[Ticket] = ticket.node  # type: ignore[assignment]  # to say so by `assert` is a call
        self._least.put(node.index, node.outstanding)


class KvTokens:
    """Tokens of the requests inside each node: their prompts, and their answers as far as they are made.

    So much KV cache they hold or will need again, whether they run, wait or were preempted. It is what a
    router that counts for itself sees (as NVIDIA Dynamo's does, docs/routing.md), not the node's own gauge,
    which knows nothing of those that wait. A token of a prefix that several share counts for each.
    """

    grows_by_itself = True

    def __init__(self, members: Members) -> None:
        self._members = members
        self._settled: dict[int, int] = {}
        """Prompts inside, minus the answers of those that left: with all answers so far, what is inside."""
        self._least = LeastOfGrowing(self.__getitem__)
        self.join, self.leave = self._least.add, self._least.remove
        self.least = self._least.least

    def __getitem__(self, index: int) -> int:
        node = self._members.made.get(index)
        return 0 if node is None else self._settled.get(index, 0) + node.output_tokens()

    def entered(self, ticket: Ticket) -> None:
        index = index_of(ticket)
        elsewhere = sum(sequence.generated for sequence in ticket.sequences)
        self._settled[index] = self._settled.get(index, 0) + ticket.request.prompt_tokens + elsewhere

    def left(self, ticket: Ticket) -> None:
        index, made = index_of(ticket), sum(sequence.generated for sequence in ticket.sequences)
        self._settled[index] -= ticket.request.prompt_tokens + made
        self._least.lowered(index)


class Late:
    """A signal as it reaches a router: read at every multiple of `interval_ps`, and known `delay_ps` later.

    An interval of 0 reads at every change. These are the models of old information of Mitzenmacher ("How
    useful is old information?", IEEE TPDS 11:6, 2000): the bulletin board, and continuous update. A node that
    is idle is not read, since nothing changes there.
    """

    grows_by_itself = False

    def __init__(self, env: Timeline, signal: Signal, interval_ps: int, delay_ps: int) -> None:
        assert interval_ps or not signal.grows_by_itself, "nobody would tell of its growth"
        self._env = env
        self._signal = signal
        self._interval_ps, self._delay_ps = interval_ps, delay_ps
        self._seen: dict[int, int] = {}
        self._on_the_way: deque[tuple[int, int, int]] = deque()
        """When it is known, node, reading."""
        self._to_read: dict[int, None] = {}
        self._armed = False
        self._least = Least()

    def __getitem__(self, index: int) -> int:
        self._hear()
        return self._seen.get(index, 0)

    def join(self, index: int) -> None:
        self._signal.join(index)
        self._least.add(index, self._seen.get(index, 0))

    def leave(self, index: int) -> None:
        self._signal.leave(index)
        self._least.remove(index)

    def entered(self, ticket: Ticket) -> None:
        self._signal.entered(ticket)
        self._changed(index_of(ticket))

    def left(self, ticket: Ticket) -> None:
        self._signal.left(ticket)
        self._changed(index_of(ticket))

    def least(self) -> int:
        self._hear()
        return self._least.least()

    def _changed(self, index: int) -> None:
        if not self._interval_ps:
            self._read([index])
            return
        self._to_read[index] = None
        self._arm()

    def _arm(self) -> None:
        if not self._armed:
            self._armed = True
            rounds = self._env.now // self._interval_ps + 1
            Alarm(self._env, rounds * self._interval_ps, self._ring)

    def _ring(self, _alarm: Alarm) -> None:
        self._armed = False
        indexes, self._to_read = list(self._to_read), {}
        self._read(indexes)
        if self._signal.grows_by_itself:
            self._to_read = {index: None for index in indexes if self._signal[index]}
        if self._to_read:
            self._arm()

    def _read(self, indexes: Iterable[int]) -> None:
        known_ps = self._env.now + self._delay_ps
        for index in indexes:
            self._on_the_way.append((known_ps, index, self._signal[index]))

    def _hear(self) -> None:
        """What has become known by now. Each reading is heard once, so this is no work that grows."""
        on_the_way, now_ps = self._on_the_way, self._env.now
        while on_the_way and on_the_way[0][0] <= now_ps:
            _, index, reading = on_the_way.popleft()
            self._seen[index] = reading
            self._least.put(index, reading)


class Places:
    """Sequences inside each node, of `most`. A request of more samples than that takes all places."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: dict[int, int] = {}
        self._least = Least()
        self.leave = self._least.remove

    def join(self, index: int) -> None:
        self._least.add(index, self._taken.setdefault(index, 0))

    def roomy(self, samples: int) -> int | None:
        """The node with the most free places, the first of equals, if it has room for all `samples`."""
        index = self._least.least()
        return index if self.has_room(index, samples) else None

    def has_room(self, index: int, samples: int) -> bool:
        return min(samples, self._most) <= self._most - self._taken[index]

    def entered(self, ticket: Ticket) -> None:
        self._take(index_of(ticket), min(ticket.request.samples, self._most))

    def left(self, ticket: Ticket) -> None:
        self._take(index_of(ticket), -min(ticket.request.samples, self._most))

    def _take(self, index: int, places: int) -> None:
        self._taken[index] = taken = self._taken[index] + places
        self._least.put(index, taken)


class Shares:
    """What share of the requests each member should get, by the weights of the pool."""

    def __init__(self, members: Members) -> None:
        self._members = members
        self._cumulated: list[float] = []

    def join(self, index: int) -> None:
        del index
        self._cumulated = []

    def leave(self, index: int) -> None:
        self.join(index)

    def entered(self, ticket: Ticket) -> None: ...

    def left(self, ticket: Ticket) -> None: ...

    def index_at(self, share: float) -> int:
        """Whose part of the whole `share`, from 0 on and below 1, falls into."""
        indexes, weights = self._members.indexes, self._members.weights
        if not self._cumulated:  # membership has changed
            self._cumulated = list(accumulate(weights.get(index, 1.0) for index in indexes))
            if not self._cumulated[-1]:  # all who have a weight are gone: equal shares for the others
                self._cumulated = list(accumulate(1.0 for _ in indexes))
        position = bisect_right(self._cumulated, share * self._cumulated[-1])
        return indexes[min(position, len(indexes) - 1)]


def index_of(ticket: Ticket) -> int:
    assert ticket.node is not None
    return ticket.node.index
