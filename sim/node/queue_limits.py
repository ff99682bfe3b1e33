"""How much a node takes in before it refuses, as vLLM's front end does: a wait that nobody would sit out."""

from collections.abc import Iterable
from typing import NamedTuple

from sim.node.kernel import Boundary, Sequence
from traffic.request import Request


class QueueFull(NamedTuple):
    """Why a node takes nobody."""

    setting: str
    """Which of the two limits, by vLLM's name."""
    limit: int
    used: int
    requested: int


class QueueLimits:
    """vLLM's counts, of one node. None: no limit.

    Completions that wait or run are `reqs`. `tokens` are the prompts of those that have no token yet: a whole
    prompt counts until its prefill ends, whatever of it is computed or found in a cache. A request is refused
    once the latter reach their limit, however small it is itself.
    """

    __slots__ = ("_max_reqs", "_max_tokens", "reqs", "tokens")

    def __init__(self, max_num_queued_reqs: int | None, max_num_queued_tokens: int | None) -> None:
        self._max_reqs, self._max_tokens = max_num_queued_reqs, max_num_queued_tokens
        self.reqs = 0
        self.tokens = 0

    def full(self, request: Request) -> QueueFull | None:
        """Whether there is no place for `request`."""
        if self._max_reqs is not None and self.reqs + request.samples > self._max_reqs:
            return QueueFull("max_num_queued_reqs", self._max_reqs, self.reqs, request.samples)
        if self._max_tokens is not None and self.tokens >= self._max_tokens:
            return QueueFull("max_num_queued_tokens", self._max_tokens, self.tokens, request.prompt_tokens)
        return None

    def entered(self, request: Request) -> None:
        self.reqs += request.samples
        self.tokens += request.samples * request.prompt_tokens

    def passed(self, boundary: Boundary) -> None:
        """Who has its first token there, and who is out."""
        for sequence in boundary.firsts:
            self.tokens -= sequence.prompt_tokens
        for sequence in boundary.ended:
            self.reqs -= 1
            if sequence.first_ps < 0:
                self.tokens -= sequence.prompt_tokens

    def never_started(self, request: Request) -> None:
        """It left before it came to a kernel."""
        self.reqs -= request.samples
        self.tokens -= request.samples * request.prompt_tokens

    def moved_in(self, open_sequences: Iterable[Sequence], *, by: int = 1) -> None:
        """From a node that was lost, which refuses nobody; with `by` of -1 it leaves before the kernel."""
        for sequence in open_sequences:
            self.reqs += by
            if not sequence.generated:
                self.tokens += by * sequence.prompt_tokens

    def emptied(self) -> None:
        """Everybody left at once."""
        self.reqs = self.tokens = 0
