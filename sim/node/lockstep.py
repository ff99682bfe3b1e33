"""Ranks that keep step: data-parallel engines whose layers wait for each other, as one kernel.

Each rank has a queue, a batch and a KV pool of its own. All start a step together and end it together, when
the slowest is done and the experts that they share are through. A rank without work makes a step of one
token that nobody sees, as vLLM's `execute_dummy_batch` does, for the others could not go on without it.
Which rank is the slowest changes from step to step, so no stretch of steps has a closed form: both engines
take this kernel.
"""

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import NamedTuple

from hwmodels.step_time import AffineStepTime, Chunk, StepTime
from sim.node.kernel import NOTHING_UNDER_WAY, Boundary, NodeKernel, Sequence, Stepped, UnderWay
from sim.node.step_engine import StepEngine
from traffic.request import Prefix

_by_number = attrgetter("number")
WAITING_WEIGHT = 4
"""A sequence that waits counts as four that run: `DPLBAsyncMPClient` of vLLM."""


class _Plan(NamedTuple):
    """A step of one rank."""

    chunks: list[Chunk]
    decodes: int
    kv_tokens: int

    @property
    def tokens(self) -> int:
        return sum(new for new, _ in self.chunks) + self.decodes


DUMMY = _Plan([], 1, 0)


class Planned:
    """Stands for a law until all ranks have planned: it keeps what is asked, and answers anything."""

    def __init__(self) -> None:
        self.plan: _Plan | None = None

    def step_ps(self, chunks: Iterable[Chunk], decodes: int, kv_tokens: int) -> int:
        self.plan = _Plan(list(chunks), decodes, kv_tokens)
        return 1


class Rank(StepEngine):
    """A step engine that is told when its steps end. It is made with `Planned` for a law."""

    def _set_up(self) -> None:
        assert isinstance(self._law, Planned)
        self._planned = self._law

    def ends(self, at_ps: int | None) -> None:
        """The step in progress, or the wait for one, is over at this time."""
        self._next_ps = at_ps

    def launches(self, launch_ps: int) -> None:
        """What passes before a step of its own that follows none."""
        self._launch_ps = launch_ps

    def take_plan(self) -> _Plan | None:
        """Of the step that has just been planned, None where there is nothing to do."""
        plan, self._planned.plan = self._planned.plan, None
        return plan

    @property
    def has_news(self) -> bool:
        """Whether its boundary has anything to do."""
        return bool(self._shares or self._arrived or self._leaving or self._freed or self._waiting)


MakeRank = Callable[[Stepped | None], Rank]


class LockstepKernel(NodeKernel):
    """`law` is that of one rank, with what all do together beside it."""

    def __init__(
        self,
        law: AffineStepTime,
        ranks: int,
        make: MakeRank,
        stepped: Stepped | None = None,
        launch_ps: int = 0,
    ) -> None:
        """A step that follows no other of any rank starts `launch_ps` after it was formed."""
        self._law = law
        self._launch_ps = launch_ps
        self._ranks = [make(None if stepped is None else self._note) for _ in range(ranks)]
        self._stepped = stepped
        self._stepped_tokens = 0
        self._home: dict[Sequence, Rank] = {}
        """Of all that are inside."""
        self._started_ps = 0
        self._in_step = False
        self._next_ps: int | None = None
        self._steps = 0
        self._busy_ps = 0

    def _note(self, _steps: int, tokens: int) -> None:
        self._stepped_tokens += tokens

    # Counters and views: those of all ranks together

    @property
    def steps(self) -> int:
        return self._steps

    @property
    def preemptions(self) -> int:
        return sum(rank.preemptions for rank in self._ranks)

    @property
    def busy_ps(self) -> int:
        """Of all together."""
        return self._busy_ps

    @property
    def sequence_ps(self) -> int:
        return sum(rank.sequence_ps for rank in self._ranks)

    @property
    def prompt_tokens_done(self) -> int:
        return sum(rank.prompt_tokens_done for rank in self._ranks)

    @property
    def output_tokens_done(self) -> int:
        return sum(rank.output_tokens_done for rank in self._ranks)

    @property
    def free_blocks(self) -> int:
        return sum(rank.free_blocks for rank in self._ranks)

    @property
    def waiting(self) -> int:
        return sum(rank.waiting for rank in self._ranks)

    @property
    def running(self) -> int:
        return sum(rank.running for rank in self._ranks)

    def output_tokens_by(self, now_ps: int, *, after_boundary: bool = False) -> int:
        return sum(rank.output_tokens_by(now_ps, after_boundary=after_boundary) for rank in self._ranks)

    def under_way(self, now_ps: int, *, after_boundary: bool = False) -> UnderWay:
        del now_ps, after_boundary
        return NOTHING_UNDER_WAY

    def blocks_in_use(self, at_ps: int) -> int:
        return sum(rank.blocks_in_use(at_ps) for rank in self._ranks)

    def cached_tokens(
        self, now_ps: int, prefix: Prefix, prompt_tokens: int, *, after_boundary: bool = False
    ) -> int:
        """In the cache of the rank that holds most of it."""
        return max(
            rank.cached_tokens(now_ps, prefix, prompt_tokens, after_boundary=after_boundary)
            for rank in self._ranks
        )

    def tokens_by(self, sequence: Sequence, at_ps: int) -> int:
        return self._home.get(sequence, self._ranks[0]).tokens_by(sequence, at_ps)

    def forget(self, before_ps: int) -> None:
        for rank in self._ranks:
            rank.forget(before_ps)

    # What happens

    def add(
        self,
        now_ps: int,
        sequence: Sequence,
        computed: int = 0,
        generated: int = 0,
        *,
        after_boundary: bool = False,
    ) -> int | None:
        """To the rank with least to do, the first of equals; to it alone, until it ends."""
        rank = min(self._ranks, key=lambda one: WAITING_WEIGHT * one.waiting + one.running)
        self._home[sequence] = rank
        rank.add(now_ps, sequence, computed, generated, after_boundary=after_boundary)
        return self._soon(now_ps, rank)

    def remove(self, now_ps: int, sequence: Sequence, *, after_boundary: bool = False) -> int | None:
        rank = self._home[sequence]
        rank.remove(now_ps, sequence, after_boundary=after_boundary)
        return self._soon(now_ps, rank)

    def release(self, now_ps: int, sequence: Sequence, *, after_boundary: bool = False) -> int | None:
        rank = self._home.pop(sequence)
        rank.release(now_ps, sequence, after_boundary=after_boundary)
        return self._soon(now_ps, rank)

    def change_law(self, now_ps: int, law: StepTime, *, after_boundary: bool = False) -> int | None:
        del now_ps, after_boundary  # the step in progress has its duration already
        assert isinstance(law, AffineStepTime)
        self._law = law
        return self._next_ps

    def _soon(self, now_ps: int, rank: Rank) -> int | None:
        """A rank without work waits for the others' step to end: it makes a dummy one meanwhile."""
        if not self._in_step:
            self._next_ps = now_ps
        rank.ends(self._next_ps)
        return self._next_ps

    def boundary(self, now_ps: int) -> Boundary:
        due_ps = self._next_ps  # a name of its own, or mypyc takes the attribute for an int from here on
        assert now_ps == due_ps, (now_ps, due_ps)
        self._end_step(now_ps)
        launch_ps = 0 if self._in_step else self._launch_ps
        firsts, ended = [], []
        for rank in self._ranks:
            if rank.has_news:
                rank.ends(now_ps)
                rank.launches(launch_ps)
                brought = rank.boundary(now_ps)
                firsts += brought.firsts
                ended += brought.ended
        self._tell_steps()
        for sequence in ended:
            if not sequence.hands_over:  # whose blocks are still to be released
                del self._home[sequence]
        self._next_ps = self._start_step(now_ps + launch_ps)
        return Boundary(self._next_ps, sorted(firsts, key=_by_number), sorted(ended, key=_by_number))

    def drain(self, now_ps: int) -> Boundary:
        if self._in_step and now_ps == self._next_ps:
            self._end_step(now_ps)
        self._in_step, self._next_ps = False, None
        brought = [rank.drain(now_ps) for rank in self._ranks]
        self._tell_steps()
        self._home.clear()
        firsts = [sequence for one in brought for sequence in one.firsts]
        ended = [sequence for one in brought for sequence in one.ended]
        return Boundary(None, sorted(firsts, key=_by_number), sorted(ended, key=_by_number))

    def _end_step(self, now_ps: int) -> None:
        if self._in_step:
            self._steps += 1
            self._busy_ps += now_ps - self._started_ps

    def _tell_steps(self) -> None:
        if self._stepped is not None and self._stepped_tokens:
            self._stepped(1, self._stepped_tokens)
        self._stepped_tokens = 0

    def _start_step(self, start_ps: int) -> int | None:
        """When the slowest rank is done, and the experts with the tokens of all; None without any work."""
        plans = [rank.take_plan() for rank in self._ranks]
        self._in_step = any(plan is not None for plan in plans)
        self._started_ps = start_ps
        ends_ps = start_ps + self._duration_ps(plans) if self._in_step else None
        for rank, plan in zip(self._ranks, plans, strict=True):
            rank.ends(None if plan is None else ends_ps)
        return ends_ps

    def _duration_ps(self, plans: list[_Plan | None]) -> int:
        steps = [plan or DUMMY for plan in plans]
        slowest = max(self._law.step_ps(step.chunks, step.decodes, step.kv_tokens) for step in steps)
        return slowest + self._law.shared(sum(step.tokens for step in steps))
