"""Drives a node kernel through a script of events without SimPy, and notes what it does."""

from collections import Counter
from dataclasses import dataclass, field, replace
from heapq import heapify, heappop, heappush
from struct import Struct

from hwmodels.step_time import AffineStepTime
from sim.node.gaps import COLUMNS
from sim.node.kernel import BatchLimits, NodeKernel, Sequence, SharedPrompt, UnderWay
from sim.node.preemption_log import Preemption
from traffic.request import Prefix


@dataclass(frozen=True)
class Arrive:
    number: int
    prompt_tokens: int
    output_tokens: int
    computed: int = 0
    generated: int = 0
    hangs_up: bool = False
    """Its caller takes it out in reaction to its first token."""
    follower: "Arrive | None" = None
    """Added in reaction to its end, at the same instant."""
    siblings: "tuple[Arrive, ...]" = ()
    """Other completions of its prompt, added with it."""
    priority: int = 0
    key: str = ""
    prefix: Prefix = ()
    stops: bool = False
    kept_ps: int | None = None
    """It hands over, and its KV blocks are released so long after it has ended."""


@dataclass(frozen=True)
class Release:
    number: int


@dataclass(frozen=True)
class Cancel:
    number: int


@dataclass(frozen=True)
class ChangeLaw:
    law: AffineStepTime


@dataclass(frozen=True)
class Drain:
    comes_back: bool
    """What was inside is added again at once, to compute half of its tokens anew."""


@dataclass(frozen=True)
class Ask:
    """How many tokens everybody had: at these fractions of the time till now, now, at the next boundary."""

    fractions: tuple[float, ...]
    forget_before: float | None = None
    """Then forget what was before that fraction of the time till now."""
    next_ps: int | None = None


Action = Arrive | Release | Cancel | ChangeLaw | Drain | Ask


@dataclass(frozen=True)
class Event:
    at_ps: int
    action: Action
    on_boundary: bool = False
    """Put it off to the next boundary of the kernel, so that both fall on the same instant."""
    after: bool = False
    """At that instant it comes when the boundary is over, as what another node's answer sets off."""


@dataclass
class Workload:
    limits: BatchLimits
    law: AffineStepTime
    events: list[Event]


LAST = 1 << 40
"""Of the events of an instant."""


class Told:
    """What a kernel has told of its steps, and of the gaps that ended with them."""

    def __init__(self) -> None:
        self.steps = Counter[int]()
        """By the tokens that each computed."""
        self.gaps = Counter[int]()
        """By their length."""

    def stepped(self, steps: int, tokens: int) -> None:
        self.steps[tokens] += steps

    def add(self, row: bytes) -> None:
        _, steps, first_ps, slope_ps, each = Struct(f"={COLUMNS}q").unpack(row)
        for step in range(steps):
            self.gaps[first_ps + slope_ps * step] += each

    def with_what_is(self, under_way: UnderWay) -> tuple[Counter[int], Counter[int]]:
        whole = Told()
        whole.steps, whole.gaps = Counter(self.steps), Counter(self.gaps)
        if under_way.steps:
            whole.stepped(under_way.steps, under_way.tokens)
        for row in under_way.gaps:
            whole.add(row)
        return whole.steps, whole.gaps


@dataclass
class Course:
    """What a kernel did with a workload."""

    events: list[Event] = field(default_factory=list)  # with the times at which they came about
    sequences: dict[int, Sequence] = field(default_factory=dict)
    firsts: list[tuple[int, int]] = field(default_factory=list)  # (time, number) in the order of report
    ended: list[tuple[int, int, int, int]] = field(
        default_factory=list
    )  # (time, number, generated, preemptions)
    answers: list[tuple[int, int, int]] = field(default_factory=list)  # (time, number, tokens)
    occupancy: list[tuple[int, int]] = field(default_factory=list)  # (waiting, running) at every event
    blocks: list[tuple[int, int]] = field(default_factory=list)  # (time, blocks in use) whenever asked
    cached: list[tuple[int, int, int]] = field(
        default_factory=list
    )  # (time, number, tokens of its prompt in the cache) whenever asked
    told: list[tuple[Counter[int], Counter[int]]] = field(default_factory=list)  # whenever asked
    free_blocks: dict[int, int] = field(default_factory=dict)  # after each boundary, by time
    counters: tuple[int, ...] = ()
    preemptions: list[Preemption] = field(default_factory=list)  # in the order of report

    def outputs(self, number: int) -> int:
        return self.sequences[number].output_tokens

    def stamps(self) -> list[tuple[int, ...]]:
        return [
            (s.number, s.started_ps, s.first_ps, s.last_ps, s.preemptions, s.generated, s.cached_tokens)
            for s in self.sequences.values()
        ]


class Driver:
    """Events first, then the boundary of the same instant and what its result provokes, then late events."""

    def __init__(self, kernel: NodeKernel, events: list[Event], told: Told | None = None) -> None:
        self.kernel = kernel
        self._told = told
        self.course = Course()
        self._events = [(event.at_ps, event.after, order, event) for order, event in enumerate(events)]
        heapify(self._events)
        self._next_ps: int | None = None
        self._inside: dict[int, Arrive] = {}
        self._kept: dict[int, Sequence] = {}
        self._remembered_ps = 0
        self._latest_ps = 0

    def run(self) -> Course:
        while self._events or self._next_ps is not None:
            # As tuples: the boundary of an instant lies between its early and its late events.
            if self._events and (self._next_ps is None or self._events[0][:2] < (self._next_ps, True)):
                self._take_event()
            else:
                self._take_boundary()
        kernel = self.kernel
        if kernel.waiting:  # for a batch that nobody comes to complete
            self._drain(self._latest_ps, comes_back=False, after=True)
        self.course.counters = (
            kernel.steps,
            kernel.preemptions,
            kernel.busy_ps,
            kernel.sequence_ps,
            kernel.prompt_tokens_done,
            kernel.output_tokens_done,
        )
        return self.course

    def _take_event(self) -> None:
        at_ps, after, order, event = heappop(self._events)
        self._latest_ps = max(self._latest_ps, at_ps)
        if event.on_boundary and self._next_ps is not None and at_ps < self._next_ps:
            put_off = replace(event, at_ps=self._next_ps, on_boundary=False)
            heappush(self._events, (self._next_ps, after, order, put_off))
            return
        if isinstance(event.action, Release):
            self._act(at_ps, event.action, after)
            return
        if isinstance(event.action, Ask) and event.action.next_ps is None:
            event = replace(event, action=replace(event.action, next_ps=self._next_ps or at_ps))
        self.course.events.append(replace(event, on_boundary=False))
        self._act(at_ps, event.action, after)
        self.course.occupancy.append((self.kernel.waiting, self.kernel.running))

    def _act(self, now_ps: int, action: Action, after: bool) -> None:
        match action:
            case Arrive():
                self._add(now_ps, action, after)
            case Release(number):
                if number in self._kept:
                    sequence = self._kept.pop(number)
                    self._next_ps = self.kernel.release(now_ps, sequence, after_boundary=after)
            case Cancel(number):
                if number in self._inside:
                    sequence = self.course.sequences[number]
                    self._next_ps = self.kernel.remove(now_ps, sequence, after_boundary=after)
            case ChangeLaw(law):
                self._next_ps = self.kernel.change_law(now_ps, law, after_boundary=after)
            case Drain(comes_back):
                self._drain(now_ps, comes_back, after)
            case Ask():
                self._ask(now_ps, action, after)

    def _add(self, now_ps: int, arrive: Arrive, after: bool) -> None:
        prompt = SharedPrompt() if arrive.siblings else None
        for one in (arrive, *arrive.siblings):
            sequence = Sequence(
                one.number,
                one.prompt_tokens,
                one.output_tokens,
                one,
                prompt,
                one.priority,
                one.key,
                one.prefix,
            )
            sequence.stops, sequence.hands_over = one.stops, one.kept_ps is not None
            self.course.sequences[one.number] = sequence
            self._inside[one.number] = one
            self._next_ps = self.kernel.add(
                now_ps, sequence, one.computed, one.generated, after_boundary=after
            )

    def _drain(self, now_ps: int, comes_back: bool, after: bool) -> None:
        drained = self.kernel.drain(now_ps)
        self._kept.clear()
        firsts, ended, self._next_ps = drained.firsts, drained.ended, None
        assert self.kernel.waiting == self.kernel.running == 0
        self._note(now_ps, firsts, ended)
        for sequence in ended:
            arrive = self._inside.pop(sequence.number)
            if comes_back and sequence.generated < sequence.output_tokens:
                self._inside[sequence.number] = arrive
                half = (sequence.prompt_tokens + sequence.generated) // 2
                self._next_ps = self.kernel.add(
                    now_ps, sequence, half, sequence.generated, after_boundary=after
                )

    def _ask(self, now_ps: int, ask: Ask, after: bool) -> None:
        assert ask.next_ps is not None
        if not after:  # a step that ends now still counts
            self.course.blocks.append((now_ps, self.kernel.blocks_in_use(now_ps)))
        if self._told is not None:
            under_way = self.kernel.under_way(now_ps, after_boundary=after)
            self.course.told.append(self._told.with_what_is(under_way))
        for number, sequence in self.course.sequences.items():
            if sequence.prefix:
                tokens = self.kernel.cached_tokens(
                    now_ps, sequence.prefix, sequence.prompt_tokens, after_boundary=after
                )
                self.course.cached.append((now_ps, number, tokens))
        times = [int(fraction * now_ps) for fraction in ask.fractions]
        for at_ps in (*times, now_ps, ask.next_ps):
            for number, sequence in self.course.sequences.items():
                if at_ps >= self._remembered_ps:
                    self.course.answers.append((at_ps, number, self.kernel.tokens_by(sequence, at_ps)))
        if ask.forget_before is not None:
            self._remembered_ps = max(self._remembered_ps, int(ask.forget_before * now_ps))
            self.kernel.forget(self._remembered_ps)

    def _take_boundary(self) -> None:
        assert self._next_ps is not None
        now_ps = self._latest_ps = self._next_ps
        boundary = self.kernel.boundary(now_ps)
        self._next_ps, firsts, ended = boundary.next_ps, boundary.firsts, boundary.ended
        assert self._next_ps is None or self._next_ps > now_ps
        self.course.free_blocks[now_ps] = self.kernel.free_blocks
        self._note(now_ps, firsts, ended)
        gone = [(sequence, self._inside.pop(sequence.number)) for sequence in ended]
        followers = [arrive.follower for _, arrive in gone]
        for sequence, arrive in gone:
            if arrive.kept_ps is not None and sequence.generated > arrive.generated:
                self._kept[sequence.number] = sequence
                event = Event(now_ps + arrive.kept_ps, Release(sequence.number), after=True)
                heappush(self._events, (event.at_ps, True, LAST + sequence.number, event))
        for sequence in firsts:
            if sequence.number in self._inside and self._inside[sequence.number].hangs_up:
                self._next_ps = self.kernel.remove(now_ps, sequence, after_boundary=True)
        for follower in followers:
            if follower is not None:
                self._add(now_ps, follower, after=True)

    def _note(self, now_ps: int, firsts: list[Sequence], ended: list[Sequence]) -> None:
        self.course.firsts += [(now_ps, s.number) for s in firsts]
        self.course.ended += [(now_ps, s.number, s.generated, s.preemptions) for s in ended]
