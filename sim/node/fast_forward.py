"""The fast kernel: a boundary per change of the batch instead of one per step, exact to the picosecond.

Between two changes of the batch the durations of its steps form an arithmetic progression: every step adds a
cached token per decoding sequence, and a long prompt eats the same number of tokens each time. Such a stretch
is planned, cut and logged in closed form. All times are ints, so nothing is lost by not adding them up one by
one: `sim.node.step_engine` gives the same stamps, slowly. No work here grows with the batch or the KV pool.
"""

from collections import deque
from heapq import heappop, heappush
from operator import attrgetter, itemgetter

from hwmodels.step_time import AffineStepTime, Chunk, StepTime
from sim.node.gaps import GapCounts, stretch
from sim.node.kernel import BatchLimits, Boundary, Sequence
from sim.node.kv_demand import blocks_in, steps_with
from sim.node.progression import Stretch, StretchLog, lasting, steps_by, steps_to_reach, steps_within

_by_number = attrgetter("number")
_by_entry = itemgetter(0, 1, 2)

_NOT_DECODING = 0
_GONE = -1


class _Work:
    """What the kernel knows about one sequence."""

    __slots__ = ("cached", "goal", "lost_ps", "new", "offset", "sequence", "spans", "ticket")

    goal: int
    """Tokens to have in the cache before it can decode; since its admission."""
    new: int
    """Tokens of the prompt computed per step; while it is prefilled."""
    offset: int
    """Cached tokens minus finished steps, a constant while it decodes."""

    def __init__(self, sequence: Sequence, cached: int) -> None:
        self.sequence = sequence
        self.cached = cached  # tokens in the KV cache, unless it decodes
        self.ticket = _NOT_DECODING  # else the number of its valid entry in the heap of finishes
        self.lost_ps = -1  # when it had its last token before a preemption, until it has the next
        self.spans: tuple[
            tuple[int, int], ...
        ] = ()  # (step that made the first of a row of tokens, tokens before)


class FastForward:
    """The semantics of `sim.node.step_engine.StepEngine`, for `AffineStepTime` alone.

    - Decoding sequences lie in a heap by the step that makes their last token, so that a step touches none of
      them. Who left early stays in it with an outdated ticket until that step comes up.
    - A histogram of the steps in which they take KV blocks (`sim.node.kv_demand`) tells when blocks run out.
    - An arrival cuts a stretch only if it could enter (`_open`). Otherwise nobody enters before the stretch
      ends anyway: all slots or tokens are taken, or the head of the queue lacks blocks, which only get fewer.
    """

    __slots__ = (
        "_arrived",
        "_block_size",
        "_budget",
        "_chunk_blocks",
        "_decodes",
        "_demand",
        "_finishes",
        "_first_ps",
        "_free",
        "_gaps",
        "_gone_waiting",
        "_keep_schedule",
        "_kv_tokens",
        "_law",
        "_leaving",
        "_log",
        "_max_num_seqs",
        "_next_ps",
        "_open",
        "_partial",
        "_pool_tokens",
        "_prefilling",
        "_running",
        "_slope_ps",
        "_started_ps",
        "_stretch",
        "_tickets",
        "_waiting",
        "busy_ps",
        "output_tokens_done",
        "preemptions",
        "prompt_tokens_done",
        "sequence_ps",
        "steps",
    )

    def __init__(
        self,
        limits: BatchLimits,
        law: StepTime,
        *,
        keep_schedule: bool = False,
        gaps: GapCounts | None = None,
    ) -> None:
        self.steps = 0
        self.preemptions = 0
        self.busy_ps = 0
        self.sequence_ps = 0
        self.prompt_tokens_done = 0
        self.output_tokens_done = 0

        self._max_num_seqs = limits.max_num_seqs
        self._budget = limits.max_num_batched_tokens
        self._block_size = limits.block_size
        self._pool_tokens = limits.kv_blocks * limits.block_size
        self._law = _affine(law)
        self._keep_schedule = keep_schedule
        self._gaps = gaps
        self._log = StretchLog()

        # Since the last boundary: time, whether that instant's boundary was over, number, work.
        self._arrived: list[tuple[int, bool, int, _Work]] = []
        self._waiting: deque[_Work] = deque()  # its head is never gone
        self._gone_waiting = 0  # those in it that are gone
        self._running: dict[_Work, None] = {}  # in admission order
        self._leaving: list[_Work] = []  # to be taken out at the next boundary

        self._decodes = 0  # decoding sequences
        self._kv_tokens = 0  # cached by them
        self._finishes: list[tuple[int, int, _Work]] = []  # heap of (step of the last token, ticket, work)
        self._tickets = 0
        self._demand = [0] * limits.block_size  # when they take blocks
        self._partial: _Work | None = None  # partly prefilled: always the last of the running ones
        self._free = limits.kv_blocks  # blocks, before those that the stretch takes

        self._next_ps: int | None = None
        self._started_ps = 0
        self._stretch = 0  # steps planned, 0 while idle
        self._first_ps = 0  # duration of the first of them
        self._slope_ps = 0  # by which each is longer than the one before
        self._open = False  # an arrival could enter before the stretch ends
        self._prefilling: list[_Work] = []
        self._chunk_blocks = 0  # taken by their chunks in the first step

    @property
    def waiting(self) -> int:
        return len(self._waiting) - self._gone_waiting + len(self._arrived)

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def free_blocks(self) -> int:
        if not self._stretch:
            return self._free
        return self._free - self._demand[self.steps % self._block_size] - self._chunk_blocks

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
        assert sequence.prompt_tokens + sequence.output_tokens <= self._pool_tokens, (
            sequence,
            self._pool_tokens,
        )
        sequence.generated = generated
        sequence.scratch = work = _Work(sequence, computed)
        self._arrived.append((now_ps, after_boundary, sequence.number, work))
        if self._open:
            self._cut(now_ps, after_boundary)
            self._open = False  # who comes after this one enters then or later
        elif self._next_ps is None:
            self._next_ps = now_ps
        return self._next_ps

    def remove(self, now_ps: int, sequence: Sequence, *, after_boundary: bool = False) -> int | None:
        work = _work_of(sequence)
        assert work.ticket != _GONE, sequence
        self._leaving.append(work)
        self._cut(now_ps, after_boundary)
        return self._next_ps

    def change_law(self, now_ps: int, law: StepTime, *, after_boundary: bool = False) -> int | None:
        self._law = _affine(law)  # the stretch in progress has its durations already
        self._cut(now_ps, after_boundary)
        return self._next_ps

    def boundary(self, now_ps: int) -> Boundary:
        assert now_ps == self._next_ps, (now_ps, self._next_ps)
        firsts: list[Sequence] = []
        ended: list[Sequence] = []
        if self._stretch:
            self._end_stretch(now_ps, firsts, ended)
        if self._arrived:
            self._take_in()
        if self._leaving:
            self._take_out(now_ps, ended)
        if self._running or self._waiting:
            self._plan(now_ps)
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
        self._leaving = [*self._running, *self._waiting]
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
        for first_step, tokens_before in reversed(work.spans):
            if steps >= first_step:
                return min(tokens, tokens_before + 1 + steps - first_step)
            tokens = tokens_before
        return tokens

    def forget(self, before_ps: int) -> None:
        self._log.forget(before_ps)

    def blocks_in_use(self, at_ps: int) -> int:
        assert self._next_ps is None or at_ps <= self._next_ps, (at_ps, self._next_ps)
        used = self._pool_tokens // self._block_size - self._free
        if not self._stretch:
            return used
        # Of the stretch: the steps that ended before, and the one under way, which has its blocks already.
        past = steps_within(max(0, at_ps - 1 - self._started_ps), self._first_ps, self._slope_ps)
        past = min(past, self._stretch - 1)
        used += blocks_in(self._demand, self.steps, past + 1, self._decodes) + self._chunk_blocks
        return used + sum(
            self._more_blocks(work.cached + work.new, work.new * past) for work in self._prefilling
        )

    def _steps_by(self, at_ps: int) -> int:
        assert self._next_ps is None or at_ps <= self._next_ps, (at_ps, self._next_ps)
        if self._stretch and at_ps >= self._started_ps:
            return steps_by(at_ps, self._present())
        return self._log.steps_by(at_ps)

    def _present(self) -> Stretch:
        return self._started_ps, self.steps, self._stretch, self._first_ps, self._slope_ps

    # --- the end of a stretch

    def _cut(self, now_ps: int, after_boundary: bool) -> None:
        """Ends the stretch with the first step that ends at or after now; after now if that one is over."""
        earliest_ps = now_ps + after_boundary
        assert not self._stretch or self._next_ps is None or earliest_ps <= self._next_ps, (
            now_ps,
            after_boundary,
            self._next_ps,
        )
        if self._stretch > 1:
            steps = steps_to_reach(earliest_ps - self._started_ps, self._first_ps, self._slope_ps)
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
        if decodes and self._gaps is not None:
            slope_ps = self._slope_ps if steps > 1 else 0  # else nothing bounds it, and a row is of 64 bits
            self._gaps.add(stretch(self._started_ps, steps, self._first_ps, slope_ps, decodes))
        lasted_ps = now_ps - self._started_ps
        self.busy_ps += lasted_ps
        self.sequence_ps += lasted_ps * (decodes + len(prefilling))
        self.output_tokens_done += decodes * steps
        self._kv_tokens += decodes * steps
        if steps == 1:
            self._free -= self._demand[self.steps % self._block_size]
        else:
            self._free -= blocks_in(self._demand, self.steps, steps, decodes)
        self.steps = now_step = self.steps + steps
        while finishes and finishes[0][0] <= now_step:
            _, ticket, work = heappop(finishes)
            if work.ticket == ticket:
                del self._running[work]
                self._release(work)
                _leave(work, now_ps, ended)
        if prefilling:
            self._end_chunks(now_ps, firsts, ended)
        self._stretch = 0

    def _end_chunks(self, now_ps: int, firsts: list[Sequence], ended: list[Sequence]) -> None:
        steps = self._stretch
        self._free -= self._chunk_blocks
        self._partial = None
        for work in self._prefilling:
            new = work.new
            sequence = work.sequence
            if steps > 1:
                self._free -= self._more_blocks(work.cached + new, new * (steps - 1))
            work.cached += new * steps
            self.prompt_tokens_done += new * steps
            if work.cached < work.goal:
                self._partial = work
                continue
            sequence.generated += 1
            self.output_tokens_done += 1
            if self._keep_schedule:
                work.spans += ((self.steps, sequence.generated - 1),)
            if work.lost_ps >= 0:
                if self._gaps is not None:
                    self._gaps.add_one(work.lost_ps, now_ps)
                work.lost_ps = -1
            if sequence.generated == 1:
                sequence.first_ps = now_ps
                firsts.append(sequence)
            if sequence.generated < sequence.output_tokens:
                self._start_decoding(work)
            else:
                del self._running[work]
                self._release(work)
                _leave(work, now_ps, ended)
        self._prefilling = []
        self._chunk_blocks = 0

    def _completes(self, work: _Work) -> bool:
        """Whether the stretch ends the prefill of `work`, which then gets a token."""
        return work.cached + work.new * self._stretch >= work.goal

    def _start_decoding(self, work: _Work) -> None:
        steps = self.steps
        sequence = work.sequence
        work.offset = offset = work.cached - steps
        self._demand[-offset % self._block_size] += 1
        self._decodes += 1
        self._kv_tokens += work.cached
        self._tickets = work.ticket = ticket = self._tickets + 1
        heappush(self._finishes, (steps + sequence.output_tokens - sequence.generated, ticket, work))

    def _release(self, work: _Work) -> None:
        """Takes back the blocks of one that ran, and brings its `generated` up to date."""
        if work.ticket > 0:
            cached = work.offset + self.steps
            tokens = cached + 1  # the last one comes into the cache with the next step
            work.sequence.generated = tokens - work.sequence.prompt_tokens
            work.ticket = _NOT_DECODING
            self._demand[-work.offset % self._block_size] -= 1
            self._decodes -= 1
            self._kv_tokens -= cached
        else:
            cached = work.cached
            if work is self._partial:
                self._partial = None
        blocks = -(-cached // self._block_size)
        prompt = work.sequence.shared_prompt
        if prompt is not None and blocks:
            prompt.holders -= 1
            if prompt.holders:
                blocks -= self._shareable(work)
        self._free += blocks

    def _shareable(self, work: _Work) -> int:
        return (work.sequence.prompt_tokens - 1) // self._block_size

    def _break_off(self, now_ps: int, firsts: list[Sequence], ended: list[Sequence]) -> None:
        """Ends the stretch with the last step that ended by now and loses the step in progress."""
        steps = steps_within(now_ps - self._started_ps, self._first_ps, self._slope_ps)
        self._stretch = min(steps, self._stretch)
        if self._stretch:
            ended_ps = self._started_ps + lasting(self._stretch, self._first_ps, self._slope_ps)
            self._end_stretch(ended_ps, firsts, ended)
        for work in self._prefilling:
            if work is not self._partial:
                work.cached = 0  # it was to take its blocks with the step that is lost
                if work.sequence.shared_prompt is not None:
                    work.sequence.shared_prompt.holders -= 1
        self._prefilling = []
        self._chunk_blocks = 0

    # --- between two stretches

    def _take_in(self) -> None:
        arrived = self._arrived
        if len(arrived) > 1:
            # By number within an instant, those after its boundary last: had there been a boundary call, as a
            # plain kernel has one per step, the earlier ones would have been taken in by it.
            arrived.sort(key=_by_entry)
        for *_, work in arrived:
            self._waiting.append(work)
        arrived.clear()

    def _take_out(self, now_ps: int, ended: list[Sequence]) -> None:
        for work in self._leaving:
            if work.ticket == _GONE:
                continue  # its last token came just now, which beats a removal
            if work in self._running:
                del self._running[work]
                self._release(work)
            else:
                self._gone_waiting += 1
            _leave(work, now_ps, ended)
        self._leaving.clear()
        self._drop_gone()

    def _drop_gone(self) -> None:
        waiting = self._waiting
        while self._gone_waiting and waiting[0].ticket == _GONE:
            waiting.popleft()
            self._gone_waiting -= 1

    def _fall_idle(self) -> None:
        assert self._free * self._block_size == self._pool_tokens, self._free
        self._next_ps = None
        self._open = False

    # --- planning

    def _plan(self, now_ps: int) -> None:
        demand = self._demand[self.steps % self._block_size]
        preempted = demand > self._free
        if preempted:
            demand = self._preempt_for_decodes(now_ps)
        left = self._budget - self._decodes
        free = self._free - demand
        chunks: list[Chunk] = []
        partial = self._partial
        if partial is not None:
            new = min(partial.goal - partial.cached, left)
            blocks = self._more_blocks(partial.cached, new)
            if blocks > free:
                self._preempt_tail(now_ps)
                preempted = True
            else:
                partial.new = new
                self._prefilling.append(partial)
                chunks.append((new, partial.cached))
                self._chunk_blocks = blocks
                left -= new
                free -= blocks
        if self._waiting and not preempted:
            self._admit(now_ps, left, free, chunks)
        self._started_ps = now_ps
        if chunks:
            self._plan_prefill(chunks)
        else:
            self._plan_decode(preempted)
        assert self._first_ps >= 1, (self._first_ps, chunks, self._decodes, self._kv_tokens)
        if self._stretch == 1:
            self._next_ps = now_ps + self._first_ps
        else:
            self._next_ps = now_ps + lasting(self._stretch, self._first_ps, self._slope_ps)

    def _preempt_for_decodes(self, now_ps: int) -> int:
        """Preempts from the tail until the blocks for the next step are free; answers how many those are."""
        step = self.steps % self._block_size
        while self._demand[step] > self._free:
            self._preempt_tail(now_ps)
        return self._demand[step]

    def _preempt_tail(self, now_ps: int) -> None:
        work, _ = self._running.popitem()
        if work.ticket > 0:
            work.lost_ps = now_ps
        self._release(work)
        work.cached = 0  # prompt and output so far are computed again
        work.sequence.preemptions += 1
        self.preemptions += 1
        self._waiting.appendleft(work)

    def _admit(self, now_ps: int, left: int, free: int, chunks: list[Chunk]) -> None:
        """First come, first served, while slots, tokens and blocks last."""
        waiting = self._waiting
        slots = self._max_num_seqs - len(self._running)
        while left and slots and waiting:
            work = waiting[0]
            sequence = work.sequence
            past = work.cached
            work.goal = goal = sequence.prompt_tokens + sequence.generated
            prompt, found = sequence.shared_prompt, 0
            if prompt is not None and prompt.holders:
                # Complete, since a leader whose prefill is cut leaves no tokens in the budget for a sibling.
                found = self._shareable(work)
                past = max(past, found * self._block_size)
            work.new = new = min(goal - past, left)
            blocks = -(-(past + new) // self._block_size) - found
            if blocks > free:
                break  # nobody overtakes the head of the queue
            work.cached = past
            if prompt is not None:
                prompt.holders += 1
            waiting.popleft()
            if self._gone_waiting:
                self._drop_gone()
            self._running[work] = None
            if sequence.started_ps < 0:
                sequence.started_ps = now_ps
            self._prefilling.append(work)
            chunks.append((new, past))
            self._chunk_blocks += blocks
            free -= blocks
            left -= new
            slots -= 1

    def _plan_decode(self, preempted: bool) -> None:
        """Decoding alone goes on until somebody has his last token or a block lacks."""
        decodes = self._decodes
        law = self._law
        self._first_ps = law.step_ps((), decodes, self._kv_tokens)
        self._slope_ps = law.kv_ps * decodes
        # A step that preempted admits nobody, but the one after it may.
        steps = 1 if preempted else self._steps_to_finish()
        if (steps // self._block_size + 1) * decodes > self._free:  # else blocks suffice in any case
            steps = steps_with(self._demand, self.steps, steps, decodes, self._free)
        self._stretch = steps
        room = decodes < self._max_num_seqs and decodes < self._budget
        self._open = steps > 1 and room and not self._waiting

    def _plan_prefill(self, chunks: list[Chunk]) -> None:
        """A step with chunks changes the batch, unless it is one of several that a long prompt fills up.

        Only a lone prompt is cut into full chunks: of several, all but the last are complete with this step.
        """
        law = self._law
        self._first_ps = law.step_ps(chunks, self._decodes, self._kv_tokens)
        self._slope_ps = 0
        self._stretch = 1
        self._open = False
        new, past = chunks[0]
        full_chunks = (self._prefilling[0].goal - past) // new
        if full_chunks > 1:
            self._stretch = self._steps_of_chunks(full_chunks, new, past)
            pairs = max(new, law.prefill_tile_tokens) * new
            self._slope_ps = law.pair_ps * pairs + law.mixed_kv_ps * self._decodes

    def _steps_of_chunks(self, steps: int, new: int, past: int) -> int:
        """As many of `steps` with `new` prompt tokens each as pass while nobody ends and no block lacks."""
        decodes = self._decodes
        if decodes:
            steps = min(steps, self._steps_to_finish())
        free = self._free - self._chunk_blocks
        while steps > 1:
            blocks = self._more_blocks(past + new, new * (steps - 1))
            if blocks_in(self._demand, self.steps, steps, decodes) + blocks <= free:
                break
            steps //= 2  # not the most that fit, but soon found; one step is known to fit
        return steps

    def _steps_to_finish(self) -> int:
        """Steps until the first of the decoding sequences has its last token."""
        finishes = self._finishes
        while finishes[0][2].ticket != finishes[0][1]:
            heappop(finishes)
        return finishes[0][0] - self.steps

    def _more_blocks(self, cached: int, more: int) -> int:
        """Blocks to add to those that hold `cached` tokens for them to hold `more`."""
        return -(-(cached + more) // self._block_size) + -cached // self._block_size


def _leave(work: _Work, now_ps: int, ended: list[Sequence]) -> None:
    work.ticket = _GONE
    work.sequence.last_ps = now_ps
    ended.append(work.sequence)
    del work.sequence  # or the two would keep each other in memory until a collection of cycles


def _work_of(sequence: Sequence) -> _Work:
    work = sequence.scratch
    assert isinstance(work, _Work), f"{sequence} was never added to this kind of kernel"
    return work


def _affine(law: StepTime) -> AffineStepTime:
    assert isinstance(law, AffineStepTime), f"fast forward needs an AffineStepTime, not {law}"
    return law
