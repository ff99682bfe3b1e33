"""The fast kernel: a boundary per change of the batch instead of one per step, exact to the picosecond.

Between two changes of the batch the durations of its steps form an arithmetic progression: every step adds a
cached token per decoding sequence, and a long prompt eats the same number of tokens each time. Such a stretch
is planned, cut and logged in closed form. All times are ints, so nothing is lost by not adding them up one by
one: `sim.node.step_engine` gives the same stamps, slowly. No work here grows with the batch or the KV pool.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from operator import attrgetter
from typing import Any, Final

from hwmodels.step_time import AffineStepTime, Chunk, StepTime
from sim.node.batch import Batch, RankedBatch
from sim.node.gaps import stretch
from sim.node.kernel import (
    NOTHING_UNDER_WAY,
    BatchLimits,
    Boundary,
    CountingKernel,
    GapSink,
    Sequence,
    Stepped,
    UnderWay,
)
from sim.node.kv_demand import blocks_in, steps_with
from sim.node.kv_pool import CountingPool, KvPool
from sim.node.preemption_log import PreemptionLog
from sim.node.progression import Stretch, StretchLog, lasting, steps_by, steps_to_reach, steps_within
from sim.node.waiting_queue import Arrival, FirstComeFirstServed, WaitingQueue
from sim.node.whole_batches import WholeBatches
from sim.node.work import Work
from traffic.request import Prefix

_by_number = attrgetter("number")
_by_arrival = attrgetter("arrived")

_NOT_DECODING: Final = 0


class ForwardedWork(Work):
    """`cached` stands still while it decodes: then its cache holds `offset` + finished steps tokens."""

    __slots__ = ("lost_ps", "new", "offset", "spans", "ticket")

    new: int
    """Tokens of the prompt computed per step; while it is prefilled."""
    offset: int
    """Cached tokens minus finished steps, a constant while it decodes."""

    def __init__(self, sequence: Sequence, arrived: Arrival, computed: int) -> None:
        Work.__init__(self, sequence, arrived, computed)  # super() would cost as much again, for each request
        self.ticket = _NOT_DECODING  # else the number of its valid entry in the heap of finishes
        self.lost_ps = -1  # when it had its last token before a preemption, until it has the next
        # Rows of a token per step: (when the first was made, the clock then, tokens before). A preemption
        # starts another.
        self.spans: tuple[tuple[int, int, int], ...] = ()


class FastForward(CountingKernel):
    """The semantics of `sim.node.step_engine.StepEngine`, for `AffineStepTime` alone.

    - Decoding sequences lie in a heap by the step that makes their last token, so that a step touches none of
      them. Who left early stays in it with an outdated ticket until that step comes up.
    - A histogram of the steps in which they take KV blocks (`sim.node.kv_demand`) tells when blocks run out.
    - Planning takes the blocks of a stretch's first step, its end those of the others: the pool sees the
      calls of a step engine in the order of one. Until then `pool.free` is what the other steps may use.
      Only who asks what the pool holds has it take before then what steps under way have.
    - An arrival cuts a stretch only if it could enter: slots and tokens are left, or it may push somebody out
      (`_open`), and it precedes all who wait. Otherwise nobody enters before the stretch ends anyway, since
      the head of the queue, the same until then, lacks a slot, a token or blocks, and blocks only get fewer.
    """

    __slots__ = (
        "_add_gaps",
        "_arrived",
        "_batches",
        "_block_size",
        "_budget",
        "_clock",
        "_decodes",
        "_demand",
        "_finishes",
        "_first_chunk",
        "_first_ps",
        "_freed",
        "_gaps",
        "_head",
        "_held",
        "_keep_schedule",
        "_kept",
        "_kv_tokens",
        "_launch_ps",
        "_law",
        "_leaving",
        "_log",
        "_max_num_seqs",
        "_next_ps",
        "_open",
        "_partial",
        "_pool",
        "_pop",
        "_preemption_log",
        "_preempts",
        "_prefilling",
        "_push",
        "_queue",
        "_running",
        "_slope_ps",
        "_started_ps",
        "_stepped",
        "_stretch",
        "_supplied",
        "_take",
        "_tickets",
        "_waiting",
        "_watermark",
    )
    steps_ahead = 0
    """So many more steps are formed already when one ends."""

    def __init__(
        self,
        limits: BatchLimits,
        law: StepTime,
        *,
        keep_schedule: bool = False,
        gaps: GapSink | None = None,
        stepped: Stepped | None = None,
        queue: WaitingQueue[Any] | None = None,
        pool: KvPool | None = None,
        preempt: bool = False,
        batches: WholeBatches | None = None,
        launch_ps: int = 0,
        preemption_log: PreemptionLog | None = None,
    ) -> None:
        """As for `StepEngine`; `stepped` hears of stretches."""
        CountingKernel.__init__(self)
        self._clock = 0  # finished steps in which those who decode had a token: here all

        self._max_num_seqs = limits.max_num_seqs
        self._budget = limits.max_num_batched_tokens
        self._block_size = limits.block_size
        self._pool: KvPool = pool or CountingPool(limits.kv_blocks, limits.block_size)
        self._watermark = limits.watermark_blocks
        self._take: Callable[[ForwardedWork, int], int] = (
            self._take_above_watermark if self._watermark else self._pool.admit
        )
        self._first_chunk = self._take
        self._queue: WaitingQueue[ForwardedWork] = queue or FirstComeFirstServed()
        # Made once: each look makes another.
        self._push: Callable[[ForwardedWork], None] = self._queue.push
        self._head: Callable[[], ForwardedWork | None] = self._queue.head
        self._pop: Callable[[], ForwardedWork] = self._queue.pop
        assert self._queue.ranked or not preempt, "who pushes out by priority must be first by priority"
        assert not (preempt and batches), "nobody joins a batch, so nobody pushes out"
        self._preempts = preempt
        self._preemption_log = preemption_log
        self._batches = batches
        self._launch_ps = launch_ps
        self._kept: dict[Sequence, ForwardedWork] = {}  # handed over, with their blocks
        self._freed: list[ForwardedWork] = []  # whose blocks come back at the next boundary
        self._held: list[ForwardedWork] = []  # complete, and to leave with the last of their batch
        self._law = _affine(law)
        self._keep_schedule = keep_schedule
        self._gaps = gaps
        self._add_gaps: Callable[[bytes], None] | None = None if gaps is None else gaps.add
        self._stepped = stepped
        self._log = StretchLog()

        self._arrived: list[ForwardedWork] = []  # since the last boundary
        self._waiting = 0  # sequences in the queue: to ask it costs more
        self._running: Batch[ForwardedWork] = RankedBatch() if self._queue.ranked else Batch()
        self._leaving: list[ForwardedWork] = []  # to be taken out at the next boundary

        self._decodes = 0  # decoding sequences
        self._kv_tokens = 0  # cached by them
        self._finishes: list[
            tuple[int, int, ForwardedWork]
        ] = []  # heap of (step of the last token, ticket, work)
        self._tickets = 0
        self._demand = [0] * limits.block_size  # when they take blocks
        self._partial: ForwardedWork | None = None  # partly prefilled: always the last of the running ones

        self._next_ps: int | None = None
        self._started_ps = 0
        self._stretch = 0  # steps planned, 0 while idle
        self._supplied = 1  # of those, how many have their blocks
        self._first_ps = 0  # duration of the first of them
        self._slope_ps = 0  # by which each is longer than the one before
        self._open = False  # slots and tokens are left after the first step, and no arrival has cut it yet
        self._prefilling: list[ForwardedWork] = []
        self._set_up()

    def _set_up(self) -> None:
        """As that of `StepEngine`."""

    @property
    def steps(self) -> int:
        return self._clock

    @property
    def waiting(self) -> int:
        return self._waiting + len(self._arrived)

    @property
    def running(self) -> int:
        return len(self._running) + len(self._held)

    @property
    def free_blocks(self) -> int:
        return self._pool.free + self._further_blocks(self._supplied - 1)

    def add(
        self,
        now_ps: int,
        sequence: Sequence,
        computed: int = 0,
        generated: int = 0,
        *,
        after_boundary: bool = False,
    ) -> int | None:
        assert 0 <= generated < sequence.output_tokens, (sequence, generated)
        assert 0 <= computed < sequence.prompt_tokens + generated, (sequence, computed, generated)
        tokens = sequence.prompt_tokens + sequence.output_tokens
        assert tokens <= self._pool.blocks * self._block_size, sequence
        sequence.generated = generated
        sequence.scratch = work = ForwardedWork(sequence, (now_ps, after_boundary, sequence.number), computed)
        if generated == 1:
            work.lost_ps = sequence.first_ps
        self._arrived.append(work)
        if self._open:
            # Those who came before in this stretch are not pushed yet. Had one of them been able to pass the
            # head, it would have cut the stretch.
            if not self._waiting or self._queue.may_precede_head(work):
                self._cut(now_ps, after_boundary, self.steps_ahead)
                self._open = False  # who comes after this one enters then or later
        elif not self._stretch:
            self._next_ps = now_ps
        return self._next_ps

    def remove(self, now_ps: int, sequence: Sequence, *, after_boundary: bool = False) -> int | None:
        work = _work_of(sequence)
        assert not work.gone, sequence
        self._leaving.append(work)
        if self._stretch:
            self._cut(now_ps, after_boundary)
        else:
            self._next_ps = now_ps
        return self._next_ps

    def release(self, now_ps: int, sequence: Sequence, *, after_boundary: bool = False) -> int | None:
        self._freed.append(self._kept.pop(sequence))
        if self._stretch:
            self._cut(now_ps, after_boundary)
        else:
            self._next_ps = now_ps
        return self._next_ps

    def change_law(self, now_ps: int, law: StepTime, *, after_boundary: bool = False) -> int | None:
        self._law = _affine(law)  # the stretch in progress has its durations already
        self._cut(now_ps, after_boundary)
        return self._next_ps

    def boundary(self, now_ps: int) -> Boundary:
        due_ps = self._next_ps  # a name of its own, or mypyc takes the attribute for an int from here on
        assert now_ps == due_ps, (now_ps, due_ps)
        firsts: list[Sequence] = []
        ended: list[Sequence] = []
        start_ps = now_ps
        if self._stretch:
            self._end_stretch(now_ps, firsts, ended)
        else:
            start_ps += self._launch_ps
        if self._arrived:
            self._take_in()
        if self._freed:
            self._free()
        if self._leaving:
            self._take_out(now_ps, ended)
        if self._batches is not None:
            self._plan_batch(now_ps, start_ps, self._batches, ended)
        elif self._running or self._waiting:
            self._plan(start_ps)
        else:
            self._fall_idle()
        if len(firsts) > 1:
            firsts.sort(key=_by_number)
        if len(ended) > 1:
            ended.sort(key=_by_number)
        return Boundary(self._next_ps, firsts, ended)

    def drain(self, now_ps: int) -> Boundary:
        assert self._next_ps is None or now_ps <= self._next_ps, (now_ps, self._next_ps)
        firsts: list[Sequence] = []
        ended: list[Sequence] = []
        if self._stretch:
            self._break_off(now_ps, firsts, ended)
        self._take_in()
        for work in self._running:
            if work.gone:
                continue  # with the last step that ended
            if work.ticket > 0:
                work.sequence.generated = work.offset + self._clock + 1 - work.sequence.prompt_tokens
            _leave(work, now_ps, ended)
        self._forget_running()
        self._release_held(now_ps, ended)
        if self._batches is not None:
            self._batches.places = 0
        self._leaving = list(self._queue)
        self._take_out(now_ps, ended)
        self._fall_idle()
        return Boundary(None, sorted(firsts, key=_by_number), sorted(ended, key=_by_number))

    def tokens_by(self, sequence: Sequence, at_ps: int) -> int:
        assert self._keep_schedule, "tokens_by needs a kernel made with keep_schedule=True"
        work = _work_of(sequence)
        if at_ps == self._next_ps and work in self._prefilling and self._completes(work):
            return sequence.generated + 1
        steps = self._steps_by(at_ps)
        tokens = sequence.output_tokens if work.ticket > 0 else sequence.generated
        for first_ps, first_step, tokens_before in reversed(work.spans):
            if at_ps >= first_ps:
                return min(tokens, tokens_before + 1 + steps - first_step)
            tokens = tokens_before
        return tokens

    def output_tokens_by(self, now_ps: int, *, after_boundary: bool = False) -> int:
        return self._output_tokens_done + self._decodes * self._steps_over(now_ps, after_boundary)

    def under_way(self, now_ps: int, *, after_boundary: bool = False) -> UnderWay:
        steps = self._steps_over(now_ps, after_boundary)
        return (
            UnderWay(steps, self._tokens_of_a_step(), self._gap_rows(steps)) if steps else NOTHING_UNDER_WAY
        )

    def _steps_over(self, now_ps: int, after_boundary: bool) -> int:
        """Of the stretch. One that ends at this instant is over with its boundary, as in a step engine."""
        assert self._next_ps is None or now_ps <= self._next_ps, (now_ps, self._next_ps)
        if self._stretch <= 1:
            return 0
        elapsed_ps = now_ps - self._started_ps - (not after_boundary)
        steps = steps_within(max(0, elapsed_ps), self._first_ps, self._slope_ps)
        return min(steps, self._stretch)

    def _tokens_of_a_step(self) -> int:
        return self._decodes + sum(work.new for work in self._prefilling)

    def _gap_rows(self, steps: int) -> tuple[bytes, ...]:
        """What so many steps of the stretch end."""
        slope_ps = self._slope_ps if steps > 1 else 0  # else nothing bounds it, and a row is of 64 bits
        row = stretch(self._started_ps, steps, self._first_ps, slope_ps, self._decodes)
        return (row,) if self._decodes else ()

    def forget(self, before_ps: int) -> None:
        self._log.forget(before_ps)

    def cached_tokens(
        self, now_ps: int, prefix: Prefix, prompt_tokens: int, *, after_boundary: bool = False
    ) -> int:
        if self._stretch > 1:
            steps = 1 + self._ended_before(now_ps + after_boundary)
            if steps > self._supplied:
                self._supply(steps)
        return self._pool.cached_tokens(prefix, prompt_tokens)

    def blocks_in_use(self, at_ps: int) -> int:
        used = self._pool.blocks - self.free_blocks
        return used if self._stretch <= 1 else used + self._further_blocks(self._ended_before(at_ps))

    def _ended_before(self, at_ps: int) -> int:
        """Steps of the stretch that did, but for its last: so many behind the first have begun."""
        assert self._next_ps is None or at_ps <= self._next_ps, (at_ps, self._next_ps)
        steps = steps_within(max(0, at_ps - 1 - self._started_ps), self._first_ps, self._slope_ps)
        return min(steps, self._stretch - 1)

    def _steps_by(self, at_ps: int) -> int:
        assert self._next_ps is None or at_ps <= self._next_ps, (at_ps, self._next_ps)
        if self._stretch and at_ps >= self._started_ps:
            return steps_by(at_ps, self._present())
        return self._log.steps_by(at_ps)

    def _present(self) -> Stretch:
        return self._started_ps, self._clock, self._stretch, self._first_ps, self._slope_ps

    # --- the end of a stretch

    def _cut(self, now_ps: int, after_boundary: bool, further: int = 0) -> None:
        """Ends the stretch with the first step that ends at or after now; after now if that one is over.

        Or with the one that comes so many `further`.
        """
        earliest_ps = now_ps + after_boundary
        assert not self._stretch or self._next_ps is None or earliest_ps <= self._next_ps, (
            now_ps,
            after_boundary,
            self._next_ps,
        )
        if self._stretch > 1:
            elapsed_ps = max(0, earliest_ps - self._started_ps)  # below, until the step is launched
            steps = further + steps_to_reach(elapsed_ps, self._first_ps, self._slope_ps)
            if steps < self._stretch:
                self._stretch = steps
                self._next_ps = self._started_ps + lasting(steps, self._first_ps, self._slope_ps)

    def _end_stretch(self, now_ps: int, firsts: list[Sequence], ended: list[Sequence]) -> None:
        steps = self._stretch
        decodes = self._decodes
        prefilling = self._prefilling
        finishes = self._finishes
        if self._keep_schedule:
            self._log.append(self._present())
        if decodes and self._add_gaps is not None:
            slope_ps = self._slope_ps if steps > 1 else 0  # else nothing bounds it, and a row is of 64 bits
            self._add_gaps(stretch(self._started_ps, steps, self._first_ps, slope_ps, decodes))
        if self._stepped is not None:
            self._stepped(steps, self._tokens_of_a_step())
        lasted_ps = now_ps - self._started_ps
        self._busy_ps += lasted_ps
        self._sequence_ps += lasted_ps * (decodes + len(prefilling))
        self._output_tokens_done += decodes * steps
        self._kv_tokens += decodes * steps
        if steps > self._supplied:
            # The step engine took them before those who end with the last of these steps give theirs back, so
            # here too: a pool that evicts could tell.
            if prefilling or self._supplied > 1:
                self._supply(steps)
            else:  # the same, for most stretches: a call less, and no loop
                self._pool.take(blocks_in(self._demand, self._clock + 1, steps - 1, decodes))
        self._supplied = 1
        self._clock = now_step = self._clock + steps
        # Those who finish together come in admission order, in which tickets grow.
        while finishes and finishes[0][0] <= now_step:
            _, ticket, work = heappop(finishes)
            if work.ticket == ticket:
                self._complete(work, now_ps, ended)
        if prefilling:
            self._end_chunks(now_ps, firsts, ended)
        self._stretch = 0

    def _supply(self, steps: int) -> None:
        """Take the blocks of the first `steps` of the stretch. Planning saw to it that they are free."""
        supplied, further = self._supplied, steps - self._supplied
        self._pool.take(blocks_in(self._demand, self._clock + supplied, further, self._decodes))
        for work in self._prefilling:
            held = work.cached + work.new * supplied
            self._pool.grow(work, held, held + work.new * further)
        self._supplied = steps

    def _end_chunks(self, now_ps: int, firsts: list[Sequence], ended: list[Sequence]) -> None:
        steps = self._stretch
        self._partial = None
        for work in self._prefilling:
            new = work.new
            sequence = work.sequence
            work.cached += new * steps
            self._prompt_tokens_done += new * steps
            if work.cached < work.goal:
                self._partial = work
                continue
            sequence.generated += 1
            self._output_tokens_done += 1
            if self._keep_schedule:
                work.spans += ((now_ps, self._clock, sequence.generated - 1),)
            if work.lost_ps >= 0:
                if self._gaps is not None:
                    self._gaps.add_one(work.lost_ps, now_ps)
                work.lost_ps = -1
            if sequence.generated == 1:
                sequence.first_ps = now_ps
                firsts.append(sequence)
            if sequence.hands_over:
                self._keep(work, now_ps, ended)
            elif sequence.generated < sequence.output_tokens:
                self._start_decoding(work)
            else:
                self._complete(work, now_ps, ended)
        self._prefilling = []

    def _keep(self, work: ForwardedWork, now_ps: int, ended: list[Sequence]) -> None:
        sequence = work.sequence
        del self._running[work]
        self._kept[sequence] = work
        work.gone = True
        sequence.last_ps = now_ps
        ended.append(sequence)

    def _free(self) -> None:
        for work in self._freed:
            self._pool.give_back(work, work.cached)
            del work.sequence  # as of those who leave
        self._freed.clear()

    def _complete(self, work: ForwardedWork, now_ps: int, ended: list[Sequence]) -> None:
        self._release(work)
        if self._batches is not None and self._batches.together:
            self._held.append(work)
        else:
            _leave(work, now_ps, ended)

    def _release_held(self, now_ps: int, ended: list[Sequence]) -> None:
        for work in self._held:
            _leave(work, now_ps, ended)
        self._held.clear()

    def _completes(self, work: ForwardedWork) -> bool:
        """Whether the stretch ends the prefill of `work`, which then gets a token."""
        return work.cached + work.new * self._stretch >= work.goal

    def _start_decoding(self, work: ForwardedWork) -> None:
        steps = self._clock
        sequence = work.sequence
        work.offset = offset = work.cached - steps
        # It takes a block in the steps that find its cache full, hence in every block size-th one.
        self._demand[-offset % self._block_size] += 1
        self._decodes += 1
        self._kv_tokens += work.cached
        self._tickets = work.ticket = ticket = self._tickets + 1
        heappush(self._finishes, (steps + sequence.output_tokens - sequence.generated, ticket, work))

    def _release(self, work: ForwardedWork) -> None:
        """Takes `work` out of those who run, and brings its `generated` up to date."""
        del self._running[work]
        if work.ticket > 0:
            self._stop_decoding(work)
        elif work is self._partial:
            self._partial = None
        self._pool.give_back(work, work.cached)

    def _stop_decoding(self, work: ForwardedWork) -> None:
        # One less than it has tokens: the last one comes into the cache with the next step.
        work.cached = cached = work.offset + self._clock
        work.sequence.generated = cached + 1 - work.sequence.prompt_tokens
        work.ticket = _NOT_DECODING
        self._demand[-work.offset % self._block_size] -= 1
        self._decodes -= 1
        self._kv_tokens -= cached

    def _forget_running(self) -> None:
        """All at once, and the step in progress, whose blocks are taken and whose tokens nobody has."""
        for work in self._running:
            work.ticket = _NOT_DECODING
        self._running.clear()
        self._prefilling = []
        self._partial = None
        self._demand = [0] * self._block_size
        self._decodes = self._kv_tokens = 0
        self._supplied = 1
        self._kept.clear()
        self._freed.clear()
        self._pool.reset()

    def _break_off(self, now_ps: int, firsts: list[Sequence], ended: list[Sequence]) -> None:
        """Ends the stretch with the last step that ended by now and loses the step in progress."""
        elapsed_ps = max(0, now_ps - self._started_ps)  # below, until the step is launched
        steps = steps_within(elapsed_ps, self._first_ps, self._slope_ps)
        self._stretch = min(steps, self._stretch)
        if self._stretch:
            ended_ps = self._started_ps + lasting(self._stretch, self._first_ps, self._slope_ps)
            self._end_stretch(ended_ps, firsts, ended)

    # --- between two stretches

    def _take_in(self) -> None:
        arrived = self._arrived
        if len(arrived) > 1:
            # By number within an instant, those after its boundary last: had there been a boundary call, as a
            # plain kernel has one per step, the earlier ones would have been taken in by it.
            arrived.sort(key=_by_arrival)
        push = self._push
        for work in arrived:
            push(work)
        self._waiting += len(arrived)
        arrived.clear()

    def _take_out(self, now_ps: int, ended: list[Sequence]) -> None:
        for work in self._leaving:
            if work.gone:
                continue  # its last token came just now, which beats a removal
            if work in self._running:
                self._release(work)
            elif work in self._held:
                self._held.remove(work)
            else:
                work.gone = True
                self._queue.drop(work)
                self._waiting -= 1
                if self._preemption_log is not None:
                    self._preemption_log.left(work.sequence)
            _leave(work, now_ps, ended)
        self._leaving.clear()

    def _wait_for_blocks(self) -> None:
        """Of those who have handed over: they leave no room for the first who waits, and nobody runs."""
        assert self._kept, "the first running sequence, or else the first waiting one, always finds room"
        self._fall_idle()

    def _fall_idle(self) -> None:
        assert self._pool.free == self._pool.blocks or self._kept, (self._pool.free, self._pool.blocks)
        self._next_ps = None
        self._open = False

    # --- planning

    def _plan_batch(self, now_ps: int, start_ps: int, batches: WholeBatches, ended: list[Sequence]) -> None:
        """Once all of a batch are through the next one starts, or waits for somebody to complete it."""
        batches.places = min(batches.places, self._waiting)
        if not self._running and not batches.places:
            self._release_held(now_ps, ended)
            if not batches.form(now_ps, self._waiting, self._queue):
                self._fall_idle()
                self._next_ps = batches.due_ps
                return
        self._plan(start_ps)
        self._open = self._open and batches.places > 0

    def _plan(self, start_ps: int) -> None:
        """First those who run, as if by themselves; then newcomers in what is left of tokens and blocks."""
        chunks: list[Chunk] = []
        demand = self._demand[self._clock % self._block_size]
        preempted, limit = False, None
        if demand > self._pool.free or self._partial is not None or self._preempts:
            preempted = self._make_room(start_ps)
            if self._preempts and self._waiting and not preempted:
                limit = self._push_out(start_ps)
            demand = self._demand[self._clock % self._block_size]
        left = self._budget - self._decodes
        if demand:
            self._pool.take(demand)
        partial = self._partial
        if partial is not None:
            new = partial.new
            self._pool.grow(partial, partial.cached, partial.cached + new)
            self._prefilling.append(partial)
            chunks.append((new, partial.cached))
            left -= new
        if self._waiting and not preempted:
            self._admit(start_ps, left, chunks, limit)
        self._started_ps = start_ps
        if chunks:
            self._plan_prefill(chunks)
        elif self._decodes:
            self._plan_decode(preempted)
        else:
            self._wait_for_blocks()
            return
        if self._preempts:
            self._stay_open(once=preempted or limit is not None)
        assert self._first_ps >= 1, (self._first_ps, chunks, self._decodes, self._kv_tokens)
        if self._stretch == 1:
            self._next_ps = start_ps + self._first_ps
        else:
            self._next_ps = start_ps + lasting(self._stretch, self._first_ps, self._slope_ps)

    def _make_room(self, now_ps: int) -> bool:
        """Preempts from the tail until all who stay find their blocks for the next step; whether it had to.

        The partly prefilled one, whose chunk is decided here, is at the tail: it goes before any who decode.
        Blocks are counted and not taken, so nothing has to be undone for one who goes.
        """
        pool, preemptions = self._pool, self._preemptions
        while True:
            wanted = self._demand[self._clock % self._block_size]
            partial = self._partial
            if partial is not None:
                partial.new = min(partial.goal - partial.cached, self._budget - self._decodes)
                wanted += pool.more(partial, partial.cached, partial.cached + partial.new)
            if wanted <= pool.free:
                return self._preemptions > preemptions
            self._lose(self._running.victim(), None, now_ps)

    def _push_out(self, now_ps: int) -> int | None:
        """Makes the less urgent leave until the head of the queue can enter, as long as that may help.

        Answers the priority of the most urgent of them, None where nobody left. What `_make_room` counted
        for those who stay is counted anew here, and still not taken.
        """
        limit = None
        head = self._queue.head()
        assert head is not None, "the queue lost somebody"
        while self._running:
            victim, partial = self._running.victim(), self._partial
            wanted = self._demand[self._clock % self._block_size]
            left = self._budget - self._decodes
            if partial is not None:
                partial.new = min(partial.goal - partial.cached, left)
                left -= partial.new
                wanted += self._pool.more(partial, partial.cached, partial.cached + partial.new)
                if not left:
                    victim = partial  # it would get the tokens of anybody else
            slots = self._max_num_seqs - len(self._running)
            if left and slots and self._pool.fits(head, left, self._pool.free - wanted - self._watermark):
                break
            if victim.sequence.priority <= head.sequence.priority:
                break
            limit = victim.sequence.priority
            self._lose(victim, head, now_ps)
        return limit

    def _stay_open(self, *, once: bool) -> None:
        """Whoever comes may push somebody out, and after a step in which somebody left others may enter."""
        if once:
            self._stretch = 1
        self._open = self._stretch > 1

    def _lose(self, work: ForwardedWork, head: ForwardedWork | None, now_ps: int) -> None:
        """Its blocks and its place, to `head` of the queue, or to one of those who run."""
        if self._preemption_log is not None:
            cached = work.offset + self._clock if work.ticket > 0 else work.cached
            by = self._starved() if head is None else head
            self._preemption_log.lost(work, by, now_ps, cached, pushed_out=head is not None)
        self._preempt(work, now_ps)

    def _starved(self) -> ForwardedWork:
        """Whose blocks lack: the first, in admission order, for whom those before it leave too few.

        The one place that looks at all who run, for each who loses his blocks.
        """
        free, clock, block_size = self._pool.free, self._clock, self._block_size
        for work in self._running:
            if work.ticket > 0:
                free -= not (work.offset + clock) % block_size
            elif work is self._partial:
                free -= self._pool.more(work, work.cached, work.cached + work.new)
            if free < 0:
                return work
        raise AssertionError("blocks suffice")

    def _preempt(self, work: ForwardedWork, now_ps: int) -> None:
        if work.ticket > 0:
            work.lost_ps = now_ps
        self._release(work)
        work.start_over()
        self._preemptions += 1
        self._queue.requeue(work)
        self._waiting += 1
        if self._batches is not None:
            self._batches.places += 1

    def _admit(self, start_ps: int, left: int, chunks: list[Chunk], limit: int | None) -> None:
        """In the order of the queue, while slots, tokens and blocks last.

        Only those more urgent than `limit`: whoever was pushed out does not come back in the same step.
        """
        first_chunk = self._first_chunk
        slots = self._max_num_seqs - len(self._running)
        if self._batches is not None:
            slots = min(slots, self._batches.places)
            self._batches.places -= slots
        while left and slots and self._waiting:
            work = self._head()
            assert work is not None, "the queue lost somebody"
            if limit is not None and work.sequence.priority >= limit:
                break
            new = first_chunk(work, left)
            if not new:
                break  # nobody overtakes the head of the queue
            self._pop()
            self._waiting -= 1
            work.new = new
            self._running[work] = None
            if work.sequence.started_ps < 0:
                work.sequence.started_ps = start_ps
            elif self._preemption_log is not None:
                self._preemption_log.entered(work, start_ps)
            self._prefilling.append(work)
            chunks.append((new, work.cached))
            left -= new
            slots -= 1
        if self._batches is not None:
            self._batches.places += slots

    def _take_above_watermark(self, work: ForwardedWork, left: int) -> int:
        """As the pool's `admit`, but beside others some blocks stay free."""
        pool = self._pool
        if self._running and not pool.fits(work, left, pool.free - self._watermark):
            return 0
        return pool.admit(work, left)

    def _plan_decode(self, preempted: bool) -> None:
        """Decoding alone goes on until somebody has his last token or a block lacks.

        Every step adds a cached token for each of `decodes`, so the next one is `slope_ps` longer.
        """
        decodes = self._decodes
        law = self._law
        self._first_ps = law.step_ps((), decodes, self._kv_tokens)
        self._slope_ps = law.kv_ps * decodes
        # A step that preempted admits nobody, but the one after it may.
        steps = 1 if preempted else self._steps_to_finish()
        further, free = steps - 1, self._pool.free  # the first step has its blocks
        if (further // self._block_size + 1) * decodes > free:  # else blocks suffice in any case
            steps = 1 + steps_with(self._demand, self._clock + 1, further, decodes, free)
        self._stretch = steps
        self._open = steps > 1 and decodes < self._max_num_seqs and decodes < self._budget

    def _plan_prefill(self, chunks: list[Chunk]) -> None:
        """A step with chunks changes the batch, unless it is one of several that a long prompt fills up.

        Only a lone prompt is cut into full chunks: of several, all but the last are complete with this step.
        """
        law = self._law
        self._first_ps = law.step_ps(chunks, self._decodes, self._kv_tokens)
        self._slope_ps = 0
        self._stretch = 1
        self._open = False  # of several steps with chunks each uses up all tokens
        new, past = chunks[0]
        full_chunks = (self._prefilling[0].goal - past) // new
        if full_chunks > 1:
            # Each takes all the tokens that decoding leaves, so nobody enters, and looks at `new` more tokens
            # of its past than the one before. The rest, if there is one, is a step of its own.
            self._stretch = self._steps_of_chunks(full_chunks)
            pairs = max(new, law.prefill_tile_tokens) * new
            self._slope_ps = law.pair_ps * pairs + law.mixed_kv_ps * self._decodes

    def _steps_of_chunks(self, steps: int) -> int:
        """As many of `steps` with a full chunk each as pass while nobody ends and no block lacks."""
        decodes = self._decodes
        if decodes:
            steps = min(steps, self._steps_to_finish())
        while steps > 1 and self._further_blocks(steps - 1) > self._pool.free:
            steps //= 2  # not the most that fit, but soon found; the first has its blocks
        return steps

    def _further_blocks(self, further: int) -> int:
        """Blocks that so many steps after the first of the stretch take."""
        blocks = blocks_in(self._demand, self._clock + 1, further, self._decodes)
        for work in self._prefilling:
            held = work.cached + work.new
            blocks += self._pool.more(work, held, held + work.new * further)
        return blocks

    def _steps_to_finish(self) -> int:
        """Steps until the first of the decoding sequences has its last token."""
        finishes = self._finishes
        while finishes[0][2].ticket != finishes[0][1]:
            heappop(finishes)
        return finishes[0][0] - self._clock


def _leave(work: ForwardedWork, now_ps: int, ended: list[Sequence]) -> None:
    work.gone = True
    work.sequence.last_ps = now_ps
    ended.append(work.sequence)
    del work.sequence  # or the two would keep each other in memory until a collection of cycles


def _work_of(sequence: Sequence) -> ForwardedWork:
    work = sequence.scratch
    assert isinstance(work, ForwardedWork), f"{sequence} was never added to this kind of kernel"
    return work


def _affine(law: StepTime) -> AffineStepTime:
    assert isinstance(law, AffineStepTime), f"fast forward needs an AffineStepTime, not {law}"
    return law
