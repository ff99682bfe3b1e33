"""One engine: a kernel, the calendar events that drive it, and the fixed work before it."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, Literal, Protocol, TypeVar

from hwmodels.step_time import StepTime
from sim.node.kernel import NodeKernel, Sequence, SharedPrompt, UnderWay
from sim.node.queue_limits import QueueFull, QueueLimits
from sim.node.waiting_queue import Arrival, FirstComeFirstServed, WaitingQueue
from sim.node.watch import NodeWatch
from sim.time.timeline import Alarm, Timeline
from traffic.request import Request

Moving = Literal["", "without_kv", "with_kv"]
"""From a node that was lost to the kernel of another: whether its KV cache was saved and comes along."""


class Whereabouts(Protocol):
    """Where a request is: at a node, or between two of them."""

    @property
    def index(self) -> int: ...

    @property
    def kernel(self) -> NodeKernel:
        """That made its latest token."""
        ...

    @property
    def due_ps(self) -> int | None:
        """When it could leave at the earliest, None for not soon."""
        ...

    def cancel(self, ticket: Any, /) -> None: ...  # noqa: ANN401 -- a job


class Job:
    """What a node asks of a request, and writes on it.

    A class, and no protocol: compiled code finds members of one by their place, and not by name.
    """

    __slots__ = (
        "first_seen_ps",
        "moving",
        "node",
        "outcome",
        "overhead_ps",
        "request",
        "sequences",
        "unfinished",
    )

    def __init__(self, request: Request) -> None:
        self.request = request
        self.node: Whereabouts | None = None
        self.moving: Moving = ""
        self.overhead_ps = -1
        self.sequences: list[Sequence] = []
        self.unfinished = 0  # sequences still inside the kernel
        self.first_seen_ps = -1
        self.outcome = ""  # empty while the caller waits

    @property
    def asked(self) -> Request:
        return self.request

    @property
    def arrived(self) -> Arrival:
        raise NotImplementedError

    @property
    def gone(self) -> bool:
        return bool(self.outcome)


J = TypeVar("J", bound=Job)


class NodeListener(ABC, Generic[J]):
    """Whom a node tells what its requests reached. A class, and no protocol, as `Job`."""

    @abstractmethod
    def refused(self, ticket: J, full: QueueFull) -> None:
        """The node did not take `ticket`."""
        ...

    @abstractmethod
    def first_token(self, ticket: J) -> None: ...

    @abstractmethod
    def left_node(self, ticket: J) -> None:
        """Every sequence of `ticket` is out: complete or removed."""
        ...


class Node(Generic[J]):
    """`overhead_ps` of work precedes each request's first step, beside the steps of its neighbours.

    With `slots`, that work holds one of so many places from its start to the end of the request; without,
    only the kernel's `max_num_seqs` bounds what is inside. Each sample takes a place; a request with more
    samples than there are places takes all of them. Places go in the order of `queue`, by default to whoever
    came first.
    """

    __slots__ = (
        "_alarm",
        "_at_boundary",
        "_held",
        "_limits",
        "_order",
        "_prepare",
        "_slots",
        "_slots_free",
        "_waiting",
        "_watch",
        "due_ps",
        "env",
        "hands_over",
        "index",
        "kernel",
        "outstanding",
        "overhead_ps",
        "progress",
    )
    _waiting: WaitingQueue[J]

    def __init__(
        self,
        env: Timeline,
        index: int,
        kernel: NodeKernel,
        progress: NodeListener[J],
        overhead_ps: int = 0,
        slots: int | None = None,
        queue: WaitingQueue[J] | None = None,
        order: int | None = None,
        limits: QueueLimits | None = None,
        watch: NodeWatch | None = None,
        *,
        hands_over: bool = False,
    ) -> None:
        """`queue` is only for `slots`. `order` is one of `env.boundary_orders`, by default the next.

        A node that `hands_over` makes first tokens alone, and keeps the KV blocks of each request until
        `release`. A node takes over what comes with its sequences, without overhead or a place, unless a lost
        node had them.
        """
        self.env = env
        self.index = index
        self.kernel = kernel
        self.progress = progress
        self.overhead_ps = overhead_ps
        self._prepare: Callable[[J], None] = self._work_before if overhead_ps else self._enter
        self._at_boundary: Callable[[Alarm], None] = self._boundary  # made once: each look makes another
        self.outstanding = 0
        self._slots = slots
        self._slots_free = slots or 0
        self._held = False  # whether somebody may be waiting: to ask the queue costs more
        if slots is not None:  # else nobody waits here, and there may be thousands of nodes
            self._waiting = queue or FirstComeFirstServed()
        self._order = env.boundary_orders(1) if order is None else order
        self._limits = limits
        self._watch = watch
        self.hands_over = hands_over
        self._alarm: Alarm | None = None
        self.due_ps: int | None = None
        """When the step in progress ends, None while the node is idle."""

    def submit(self, ticket: J) -> bool:
        """Whether the node takes it; else `refused` has been told."""
        ticket.node = self
        if self._limits is not None:
            if ticket.moving:
                self._limits.moved_in(_unfinished(ticket))
            else:
                full = self._limits.full(ticket.request)
                if full is not None:
                    if self._watch is not None:
                        self._watch.refused(full)
                    self.progress.refused(ticket, full)
                    return False
                self._limits.entered(ticket.request)
        self.outstanding += 1
        if ticket.sequences and not ticket.moving:
            self._take_over(ticket)
        elif self._slots is None:
            self._prepare(ticket)
        else:
            self._waiting.push(ticket)
            self._held = True
            self._let_in(self._slots)
        return True

    def release(self, ticket: J) -> None:
        """The KV blocks of what `ticket` has handed over come free at the next boundary."""
        now, after_boundary = self.env.now, self._after_boundary()
        for sequence in ticket.sequences:
            if sequence.generated:
                self._arm(self.kernel.release(now, sequence, after_boundary=after_boundary))

    def cancel(self, ticket: J) -> None:
        """Its sequences leave at the next boundary; before the kernel it only has to be forgotten."""
        now, after_boundary = self.env.now, self._after_boundary()
        for sequence in ticket.sequences:
            if sequence.last_ps < 0:
                self._arm(self.kernel.remove(now, sequence, after_boundary=after_boundary))
        if ticket.overhead_ps < 0:
            self._waiting.drop(ticket)
            self._leave_early(ticket)
            if self._slots is not None:
                self._let_in(self._slots)

    def crash(self) -> None:
        """All inside is lost now, and so is the KV cache. Whose requests these were must deal with them.

        The tokens of a step that ends at this very instant still come.
        """
        boundary = self.kernel.drain(self.env.now)
        self._arm(None)
        self.env.cancel_calls(self._prepared)
        self.outstanding = 0
        if self._limits is not None:
            self._limits.emptied()
        if self._slots is not None:
            self._slots_free = self._slots
            while self._waiting.head() is not None:
                self._waiting.pop()
        if self._watch is not None:
            self._watch.passed(boundary)
        self._tell_firsts(boundary.firsts)

    def change_law(self, law: StepTime) -> None:
        """Steps that start after the present one last as `law` says."""
        self._arm(self.kernel.change_law(self.env.now, law, after_boundary=self._after_boundary()))

    def cached_tokens(self, request: Request) -> int:
        """Prompt tokens of `request` that its KV cache holds: what a router by prefix compares."""
        if not request.prefix:
            return 0
        return self.kernel.cached_tokens(
            self.env.now,
            request.prefix,
            request.prompt_tokens,
            after_boundary=self._after_boundary(),
        )

    def output_tokens(self) -> int:
        """Made here by now."""
        return self.kernel.output_tokens_by(self.env.now, after_boundary=self._after_boundary())

    def under_way(self) -> UnderWay:
        """What its kernel has computed and told nobody of yet."""
        return self.kernel.under_way(self.env.now, after_boundary=self._after_boundary())

    def waiting(self) -> tuple[int, int]:
        """Those that lack a place or room in the batch, and those whose fixed work is under way.

        Completions; before the kernel those of a request count as one.
        """
        inside = self.kernel.waiting + self.kernel.running
        before = max(0, self.outstanding - inside)
        without_place = 0 if self._slots is None else sum(1 for _ in self._waiting)
        return self.kernel.waiting + without_place, before - without_place

    def _after_boundary(self) -> bool:
        """Whether the step that ended at this instant, if one did, is over."""
        return self.env.reached >= self._order

    def _work_before(self, ticket: J) -> None:
        ticket.overhead_ps = self.overhead_ps
        Alarm(self.env, self.env.now + self.overhead_ps, self._prepared, ticket)

    def _prepared(self, alarm: Alarm) -> None:
        ticket: J = alarm.subject
        if ticket.outcome:
            if self._slots is not None:
                self._release(ticket, self._slots)
            self._leave_early(ticket)
        else:
            self._enter(ticket)

    def _enter(self, ticket: J) -> None:
        ticket.overhead_ps = self.overhead_ps
        if ticket.moving:
            self._resume(ticket)
            return
        request, now, after_boundary = ticket.request, self.env.now, self._after_boundary()
        prompt = SharedPrompt() if request.samples > 1 else None
        most = request.max_output_tokens
        stops = most is None or request.output_tokens < most
        for _ in range(request.samples):
            sequence = Sequence(
                request.number,
                request.prompt_tokens,
                request.output_tokens,
                ticket,
                prompt,
                request.priority,
                request.key,
                request.prefix,
            )
            if self.hands_over:
                sequence.hands_over = True
            sequence.stops = stops
            ticket.sequences.append(sequence)
            due_ps = self.kernel.add(now, sequence, request.cached_tokens, after_boundary=after_boundary)
            if due_ps != self.due_ps:
                self._arm(due_ps)
        ticket.unfinished = request.samples

    def _resume(self, ticket: J) -> None:
        """Tokens that a lost node made stay made. Its KV cache is computed anew, unless it comes along."""
        now, after_boundary, prompt = self.env.now, self._after_boundary(), None
        if ticket.request.samples > 1:
            prompt = SharedPrompt()
        going_on = _unfinished(ticket)
        for sequence in going_on:
            sequence.last_ps, sequence.shared_prompt = -1, prompt
            made = sequence.generated
            computed = sequence.prompt_tokens + made - 1 if made and ticket.moving == "with_kv" else 0
            self._arm(self.kernel.add(now, sequence, computed, made, after_boundary=after_boundary))
        ticket.unfinished, ticket.moving = len(going_on), ""

    def _take_over(self, ticket: J) -> None:
        """Its prompt is in the cache of this node, and its first tokens exist."""
        now, after_boundary = self.env.now, self._after_boundary()
        for sequence in ticket.sequences:
            sequence.started_ps = sequence.last_ps = -1
            sequence.hands_over = False
            due_ps = self.kernel.add(
                now, sequence, sequence.prompt_tokens, sequence.generated, after_boundary=after_boundary
            )
            self._arm(due_ps)
        ticket.unfinished = len(ticket.sequences)

    def _arm(self, due_ps: int | None) -> None:
        if due_ps != self.due_ps:
            if self._alarm is not None:
                self.env.cancel(self._alarm)
            self.due_ps = due_ps
            self._alarm = (
                None if due_ps is None else Alarm(self.env, due_ps, self._at_boundary, None, self._order)
            )

    def _boundary(self, _alarm: Alarm) -> None:
        boundary = self.kernel.boundary(self.env.now)
        self.due_ps = next_ps = boundary.next_ps
        self._alarm = (
            None if next_ps is None else Alarm(self.env, next_ps, self._at_boundary, None, self._order)
        )
        if self._limits is not None:
            self._limits.passed(boundary)
        if self._watch is not None:
            self._watch.passed(boundary)
        if boundary.firsts:
            self._tell_firsts(boundary.firsts)
        for sequence in boundary.ended:
            ticket: J = sequence.owner
            ticket.unfinished -= 1
            if not ticket.unfinished:
                if self._slots is not None:
                    self._release(ticket, self._slots)
                self.outstanding -= 1
                self.progress.left_node(ticket)

    def _tell_firsts(self, firsts: list[Sequence]) -> None:
        for sequence in firsts:
            ticket: J = sequence.owner
            if ticket.first_seen_ps < 0:
                self.progress.first_token(ticket)

    def _release(self, ticket: J, slots: int) -> None:
        self._slots_free += min(ticket.request.samples, slots)
        if self._held:
            self._let_in(slots)

    def _let_in(self, slots: int) -> None:
        """Free places go to the head of the queue, and nobody passes it."""
        waiting = self._waiting
        while (first := waiting.head()) is not None:
            places = min(first.request.samples, slots)
            if places > self._slots_free:
                return
            self._slots_free -= places
            self._prepare(waiting.pop())
        self._held = False

    def _leave_early(self, ticket: J) -> None:
        """Before it came to the kernel."""
        if self._limits is not None:
            if ticket.moving:
                self._limits.moved_in(_unfinished(ticket), by=-1)
            else:
                self._limits.never_started(ticket.request)
        if self._watch is not None and not ticket.sequences:
            self._watch.never_started(ticket.request)
        self.outstanding -= 1
        self.progress.left_node(ticket)


def _unfinished(ticket: Job) -> list[Sequence]:
    return [sequence for sequence in ticket.sequences if sequence.generated < sequence.output_tokens]
