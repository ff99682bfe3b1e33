"""A request inside the platform, and the two ends of its conversation with whoever sent it."""

from collections.abc import Callable
from typing import Final, Protocol

from sim.network.connections import Departure, Link
from sim.node.node import Job
from sim.node.waiting_queue import Arrival
from sim.platform.rate_limit import Grant, Headroom, Refusal
from sim.time.timeline import Alarm
from traffic.request import Request

REJECTED = {
    "requests": "rejected_requests_limit",
    "tokens": "rejected_tokens_limit",
    "input_tokens": "rejected_input_tokens_limit",
    "output_tokens": "rejected_output_tokens_limit",
    "uncached_tokens": "rejected_uncached_tokens_limit",
    "context": "rejected_context",
    "saturated": "rejected_saturated",
    "ttl_expired": "rejected_ttl_expired",
    "no_endpoints": "rejected_no_endpoints",
    "max_num_queued_reqs": "rejected_max_num_queued_reqs",
    "max_num_queued_tokens": "rejected_max_num_queued_tokens",
}
"""Outcomes in the record, by the cause of a refusal."""


def capped(request: Request) -> bool:
    """Whether its whole answer ends at the cap that it states."""
    return request.max_output_tokens is not None and request.output_tokens >= request.max_output_tokens


class Sink(Protocol):
    """Hears what becomes of one request. Every time is at the caller's end and may lie ahead of `env.now`.

    After `rejected` or `ended` nothing more comes.
    """

    def admitted(self, at_ps: int, headroom: Headroom | None) -> None:
        """The limits let it pass; `headroom` is None where the model has none."""
        ...

    def rejected(self, at_ps: int, refusal: Refusal) -> None: ...

    def first_token(self, at_ps: int) -> None:
        """Who leaves before `at_ps` hears `ended` and sees no token."""
        ...

    def ended(self, at_ps: int, reason: str) -> None:
        """`stop`, `length`, `cancelled`, `timeout`, `node_lost` or `path_lost`."""
        ...


class Flow(Protocol):
    """What lets a number of requests at a time pass to the nodes."""

    def left(self) -> None:
        """One of them is out of its node, or was not taken by it."""
        ...


class Ignore:
    """The sink of open-loop traffic, which only its record interests."""

    def admitted(self, at_ps: int, headroom: Headroom | None) -> None: ...

    def rejected(self, at_ps: int, refusal: Refusal) -> None: ...

    def first_token(self, at_ps: int) -> None: ...

    def ended(self, at_ps: int, reason: str) -> None: ...


IGNORE: Final = Ignore()


class Ticket(Job):
    """What `Platform.submit` hands back: a way to look and a way to leave. Only the platform writes."""

    __slots__ = (
        "abandon",
        "admitted_ps",
        "deadline",
        "deadline_ps",
        "departure",
        "ended_ps",
        "flow",
        "grant",
        "leaving",
        "link",
        "moves",
        "reason",
        "sink",
        "way_back_ps",
    )

    def __init__(
        self,
        request: Request,
        sink: Sink,
        link: Link,
        departure: Departure,
        abandon: "Callable[[Ticket, str], None]",
    ) -> None:
        Job.__init__(self, request)  # super() would cost as much again, for each request
        self.sink = sink
        self.link = link
        self.departure = departure
        self.abandon = abandon
        self.deadline: Alarm | None = None
        self.deadline_ps = request.deadline_ps  # when the caller gives up as things stand
        self.admitted_ps = -1
        self.grant: Grant | None = None
        self.flow: Flow | None = None  # that has let it pass
        self.moves = 0  # from a node that was lost
        self.way_back_ps = departure.back_first_ps  # of the first token; those behind it keep its distance
        self.ended_ps = -1
        self.reason = ""
        self.leaving = ""  # how it ends unless the boundary that is due at this instant completes it

    # As the queue of a node sees it.

    @property
    def arrived(self) -> Arrival:
        return self.admitted_ps, False, self.request.number

    @property
    def gone(self) -> bool:
        return bool(self.outcome or self.leaving)

    @property
    def output_tokens(self) -> int:
        """Made so far, of all completions."""
        return sum(sequence.generated for sequence in self.sequences)

    def cancel(self) -> None:
        """The caller is gone: slot and KV blocks are free from the node's next boundary on.

        Does nothing once the answer is complete or on its way.
        """
        self.abandon(self, "cancelled")

    def tokens_by(self, at_ps: int, sample: int = 0) -> int:
        """Output tokens of one completion that have reached the caller by `at_ps`, not in the future.

        Needs a platform built with `keep_schedule`.
        """
        if self.first_seen_ps < 0 or at_ps < self.first_seen_ps:
            return 0
        sequence = self.sequences[sample]
        if self.outcome and at_ps >= self.ended_ps:
            if self.outcome == "completed":
                return sequence.output_tokens
            at_ps = self.ended_ps  # what was on its way to a caller who left never arrived
        made = sequence.generated
        if self.link.trouble.active:
            at_ps = self.link.trouble.open_until(at_ps)
        if not self.moving:
            assert self.node is not None
            made = self.node.kernel.tokens_by(sequence, at_ps - self.way_back_ps)
        carried = -(-(self._carried_by(at_ps) - sample) // self.request.samples)
        return min(made, carried, sequence.output_tokens - 1)

    def _carried_by(self, at_ps: int) -> int:
        """Most tokens, of all completions, that the path can have brought: each costs its bytes.

        Once the end is known, what has been waiting for the line comes right before it.
        """
        link, departure, first_ps = self.link, self.departure, self.first_seen_ps
        carried = link.events_after(departure, at_ps - first_ps)
        if self.outcome != "completed":
            return carried
        made_ps = max(sequence.last_ps for sequence in self.sequences) + self.way_back_ps
        by_then = link.events_after(departure, min(at_ps, made_ps) - first_ps)
        tokens = self.request.samples * self.request.output_tokens
        return min(carried, max(by_then, tokens - link.events_within(self.ended_ps - at_ps)))
