"""Who counts what a node does, as vLLM's `/metrics` does. For a node that nobody watches it costs nothing."""

from collections.abc import Callable
from typing import Protocol

from sim.node.gaps import stretch
from sim.node.kernel import Boundary, GapSink
from sim.node.queue_limits import QueueFull
from traffic.request import Request


class NodeWatch(Protocol):
    """Is told of a stretch of steps when it is over; of one in progress the kernel's `under_way` tells."""

    def stepped(self, steps: int, tokens: int) -> None:
        """So many steps ended, each of which computed so many tokens, of prompts and of answers together."""
        ...

    def gaps(self, row: bytes) -> None:
        """Between consecutive tokens, as `sim.node.gaps.stretch` has them."""
        ...

    def looked_up(self, tokens: int, found: int) -> None:
        """A sequence was admitted for the first time, and so many tokens of its prompt were in the cache."""
        ...

    def refused(self, full: QueueFull) -> None: ...

    def never_started(self, request: Request) -> None:
        """It left before it came to the kernel."""
        ...

    def passed(self, boundary: Boundary) -> None:
        """Who has its first token there, and who is out."""
        ...


class WatchedGaps:
    """Gaps that are counted for the record of a run and told somebody, too."""

    def __init__(self, counts: GapSink, tell: Callable[[bytes], None]) -> None:
        self._count = counts.add
        self._tell = tell

    def add(self, row: bytes) -> None:
        self._count(row)
        self._tell(row)

    def add_one(self, from_ps: int, to_ps: int) -> None:
        self.add(stretch(from_ps, 1, to_ps - from_ps, 0, 1))
