"""The plain kernel: a boundary after every step, any step-time law.

Written for the reader, not for speed: it is the oracle of `sim.node.fast_forward`, and serves laws that are
not affine.
"""

from bisect import bisect_right
from operator import attrgetter
from typing import Any

from hwmodels.step_time import StepTime
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
from sim.node.kv_pool import CountingPool, KvPool
from sim.node.preemption_log import PreemptionLog
from sim.node.waiting_queue import Arrival, FirstComeFirstServed, WaitingQueue
from sim.node.whole_batches import WholeBatches
from sim.node.work import Work
from traffic.request import Prefix

_by_number = attrgetter("number")
_by_arrival = attrgetter("arrived")


class SteppedWork(Work):
    __slots__ = ("decoding", "earlier_tokens", "latest_ps", "token_ps")

    def __init__(self, sequence: Sequence, arrived: Arrival, computed: int) -> None:
        super().__init__(sequence, arrived, computed)
        self.decoding = False
        self.latest_ps = -1  # when its latest token came, -1 before the first made here
        self.earlier_tokens = sequence.generated  # made elsewhere, or before the times that still matter
        self.token_ps: list[int] = []  # when the other tokens came, if the schedule is kept

    @property
    def lacking(self) -> int:
        """Tokens to compute before the next output token: the rest of a prefill, or the last token alone."""
        return self.sequence.prompt_tokens + self.sequence.generated - self.cached


class StepEngine(CountingKernel):
    """Continuous batching with chunked prefill in the manner of vLLM V1, one step at a time.

    A step gives one token to every decoding sequence in admission order, then as much of its prompt as the
    budget allows to the one that is partly prefilled, then admits in the order of the queue. Only the budget
    cuts prompts into pieces, so at most one sequence is partly prefilled, and it is the last of the running.

    Running sequences never outnumber the token budget, whatever `max_num_seqs`: each was admitted in a step
    that had a token left for it after serving all others, and every step serves all of them.
    """

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
        """`queue` and `pool` are empty; by default first come first served, and blocks that are counted.

        With `preempt`, whoever is at the head of the queue and cannot enter pushes out those who are less
        urgent, as long as that may help; the queue must go by priority. Without `batches` whoever waits may
        enter at any step. A step that follows no other starts `launch_ps` after it was formed.
        `preemption_log` hears who loses his blocks.
        """
        super().__init__()
        self._steps = 0
        self._limits = limits
        self._pool: KvPool = pool or CountingPool(limits.kv_blocks, limits.block_size)
        self._queue: WaitingQueue[SteppedWork] = queue or FirstComeFirstServed()
        assert self._queue.ranked or not preempt, "who pushes out by priority must be first by priority"
        assert not (preempt and batches), "nobody joins a batch, so nobody pushes out"
        self._preempts = preempt
        self._preemption_log = preemption_log
        self._batches = batches
        self._launch_ps = launch_ps
        self._held: list[SteppedWork] = []  # complete, and to leave with the last of their batch
        self._law = law
        self._keep_schedule = keep_schedule
        self._gaps = gaps
        self._stepped = stepped
        self._kept: dict[Sequence, SteppedWork] = {}  # handed over, with their blocks
        self._freed: list[SteppedWork] = []  # whose blocks come back at the next boundary
        self._arrived: list[SteppedWork] = []  # since the last boundary
        self._waiting = 0  # sequences in the queue
        self._running: list[SteppedWork] = []  # in admission order
        self._leaving: list[SteppedWork] = []  # to be taken out at the next boundary
        self._shares: list[tuple[SteppedWork, int]] = []  # the step in progress: who computes how many tokens
        self._started_ps = 0
        self._next_ps: int | None = None
        self._set_up()

    def _set_up(self) -> None:
        """What another kind has besides; a constructor of its own would have to hand all arguments on."""

    @property
    def steps(self) -> int:
        return self._steps

    @property
    def free_blocks(self) -> int:
        return self._pool.free

    @property
    def waiting(self) -> int:
        return self._waiting + len(self._arrived)

    @property
    def running(self) -> int:
        return len(self._running) + len(self._held)

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
        assert (
            self._limits.blocks(sequence.prompt_tokens + sequence.output_tokens) <= self._limits.kv_blocks
        ), sequence
        sequence.generated = generated
        sequence.scratch = work = SteppedWork(sequence, (now_ps, after_boundary, sequence.number), computed)
        if generated == 1:
            work.latest_ps = sequence.first_ps
        self._arrived.append(work)
        return self._soon(now_ps)

    def remove(self, now_ps: int, sequence: Sequence, *, after_boundary: bool = False) -> int | None:
        assert not (after_boundary and self._shares and now_ps == self._next_ps), now_ps
        work = _work_of(sequence)
        assert not work.gone, sequence
        self._leaving.append(work)
        return self._soon(now_ps)

    def release(self, now_ps: int, sequence: Sequence, *, after_boundary: bool = False) -> int | None:
        assert not (after_boundary and self._shares and now_ps == self._next_ps), now_ps
        self._freed.append(self._kept.pop(sequence))
        return self._soon(now_ps)

    def change_law(self, now_ps: int, law: StepTime, *, after_boundary: bool = False) -> int | None:
        assert not (after_boundary and self._shares and now_ps == self._next_ps), now_ps
        self._law = law  # the step in progress has its duration already
        return self._due(now_ps)

    def boundary(self, now_ps: int) -> Boundary:
        due_ps = self._next_ps  # a name of its own, or mypyc takes the attribute for an int from here on
        assert now_ps == due_ps, (now_ps, due_ps)
        start_ps = now_ps if self._shares else now_ps + self._launch_ps
        firsts, ended = self._end_step(now_ps)
        self._hear(now_ps, ended)
        may_start = self._may_start(now_ps, ended)
        self._next_ps = self._start_step(start_ps) if may_start else self._idle_until()
        return Boundary(self._next_ps, sorted(firsts, key=_by_number), sorted(ended, key=_by_number))

    def drain(self, now_ps: int) -> Boundary:
        firsts, ended = self._end_step(now_ps) if self._due(now_ps) == now_ps else ([], [])
        self._shares.clear()  # the step in progress is lost
        self._take_in()
        for work in [*self._running, *self._held]:
            if not work.gone:
                _leave(work, now_ps, ended)
        self._running.clear()
        self._held.clear()
        self._kept.clear()
        self._freed.clear()
        if self._batches is not None:
            self._batches.places = 0
        self._pool.reset()  # of the lost step, too, whose blocks are taken and whose tokens nobody has
        for work in list(self._queue):
            self._take_out(work, now_ps, ended)
        self._leaving.clear()
        self._next_ps = None
        return Boundary(None, sorted(firsts, key=_by_number), sorted(ended, key=_by_number))

    def tokens_by(self, sequence: Sequence, at_ps: int) -> int:
        assert self._keep_schedule, "tokens_by needs a kernel made with keep_schedule=True"
        work = _work_of(sequence)
        due_now = at_ps == self._due(at_ps) and any(
            w is work and w.lacking == new and not w.gone for w, new in self._shares
        )
        return work.earlier_tokens + bisect_right(work.token_ps, at_ps) + due_now

    def output_tokens_by(self, now_ps: int, *, after_boundary: bool = False) -> int:
        del after_boundary
        self._due(now_ps)  # no later than the end of the step
        return self._output_tokens_done

    def under_way(self, now_ps: int, *, after_boundary: bool = False) -> UnderWay:
        del after_boundary
        self._due(now_ps)  # no later than the end of the step
        return NOTHING_UNDER_WAY

    def forget(self, before_ps: int) -> None:
        for work in [*self._running, *self._queue]:
            past = bisect_right(work.token_ps, before_ps)
            work.earlier_tokens += past
            del work.token_ps[:past]

    def cached_tokens(
        self, now_ps: int, prefix: Prefix, prompt_tokens: int, *, after_boundary: bool = False
    ) -> int:
        del after_boundary  # had one been due, it would have been called
        self._due(now_ps)
        return self._pool.cached_tokens(prefix, prompt_tokens)

    def blocks_in_use(self, at_ps: int) -> int:
        self._due(at_ps)  # no later than the end of the step
        return self._pool.blocks - self._pool.free

    def _soon(self, now_ps: int) -> int | None:
        """Something came: no later than at the end of the step in progress, if there is one."""
        if not self._shares:
            self._next_ps = now_ps
        return self._due(now_ps)

    def _may_start(self, now_ps: int, ended: list[Sequence]) -> bool:
        """Whether there is a step to make; once all of a batch are through, the next one has to form."""
        batches = self._batches
        if batches is None:
            return bool(self._running or self._waiting)
        batches.places = min(batches.places, self._waiting)
        if self._running or batches.places:
            return True
        for work in self._held:
            _leave(work, now_ps, ended)
        self._held.clear()
        return batches.form(now_ps, self._waiting, self._queue)

    def _idle_until(self) -> int | None:
        return None if self._batches is None else self._batches.due_ps

    def _due(self, now_ps: int) -> int | None:
        assert self._next_ps is None or now_ps <= self._next_ps, (now_ps, self._next_ps)
        return self._next_ps

    def _end_step(self, now_ps: int) -> tuple[list[Sequence], list[Sequence]]:
        firsts: list[Sequence] = []
        ended: list[Sequence] = []
        shares, self._shares = self._shares, []
        self._count_step(now_ps - self._started_ps, shares)
        shares = [(work, new) for work, new in shares if not work.gone]
        if self._gaps is not None:
            self._count_gaps(now_ps, shares, self._gaps)
        for work, new in shares:
            completes = work.lacking == new
            work.cached += new
            if not completes:
                continue
            sequence = work.sequence
            work.decoding = True
            work.latest_ps = now_ps
            sequence.generated += 1
            self._output_tokens_done += 1
            if self._keep_schedule:
                work.token_ps.append(now_ps)
            if sequence.generated == 1:
                sequence.first_ps = now_ps
                firsts.append(sequence)
            if sequence.hands_over or sequence.generated == sequence.output_tokens:
                self._complete(work, now_ps, ended)
        return firsts, ended

    def _complete(self, work: SteppedWork, now_ps: int, ended: list[Sequence]) -> None:
        if work.sequence.hands_over:
            self._running.remove(work)
            self._kept[work.sequence] = work
            _leave(work, now_ps, ended)
        elif self._batches is not None and self._batches.together:
            self._hold(work)
        else:
            self._take_out(work, now_ps, ended)

    def _count_step(self, lasted_ps: int, shares: list[tuple[SteppedWork, int]]) -> None:
        if not shares:  # the kernel was idle
            return
        self._steps += 1
        self._busy_ps += lasted_ps
        self._sequence_ps += lasted_ps * len(shares)
        self._prompt_tokens_done += sum(new for work, new in shares if not (work.decoding or work.gone))
        if self._stepped is not None:
            self._stepped(1, sum(new for _, new in shares))

    def _count_gaps(self, now_ps: int, shares: list[tuple[SteppedWork, int]], gaps: GapSink) -> None:
        """Before the new tokens are noted. Whoever was preempted waited longer than this step."""
        got_token = [work for work, new in shares if work.lacking == new and work.latest_ps >= 0]
        steady = sum(work.latest_ps == self._started_ps for work in got_token)
        if steady:
            gaps.add(stretch(self._started_ps, 1, now_ps - self._started_ps, 0, steady))
        for work in got_token:
            if work.latest_ps != self._started_ps:
                gaps.add_one(work.latest_ps, now_ps)

    def _hear(self, now_ps: int, ended: list[Sequence]) -> None:
        """Of all that has happened since the last boundary."""
        self._take_in()
        for work in self._freed:
            self._pool.give_back(work, work.cached)
        self._freed.clear()
        for work in self._leaving:
            if not work.gone:  # a last token beats a removal
                self._take_out(work, now_ps, ended)
        self._leaving.clear()

    def _take_in(self) -> None:
        for work in sorted(self._arrived, key=_by_arrival):
            self._queue.push(work)
        self._waiting += len(self._arrived)
        self._arrived.clear()

    def _hold(self, work: SteppedWork) -> None:
        self._running.remove(work)
        self._pool.give_back(work, work.cached)
        self._held.append(work)

    def _take_out(self, work: SteppedWork, now_ps: int, ended: list[Sequence]) -> None:
        _leave(work, now_ps, ended)
        if work in self._held:
            self._held.remove(work)
        elif work in self._running:
            self._running.remove(work)
            self._pool.give_back(work, work.cached)
        else:
            self._queue.drop(work)
            self._waiting -= 1
            if self._preemption_log is not None:
                self._preemption_log.left(work.sequence)

    def _start_step(self, start_ps: int) -> int | None:
        left, preempted, limit = self._serve_running(start_ps)
        if not preempted:
            self._admit(start_ps, left, limit)
        return self._begin(start_ps)

    def _begin(self, start_ps: int) -> int | None:
        """When the step ends that `_shares` says; None where blocks of those handed over leave no room."""
        if not self._shares:
            assert self._kept, "the first running sequence, or else the first waiting one, always finds room"
            return None
        chunks = [(new, work.cached) for work, new in self._shares if not work.decoding]
        cached = [work.cached for work, _ in self._shares if work.decoding]
        duration_ps = self._law.step_ps(chunks, len(cached), sum(cached))
        assert duration_ps >= 1, (duration_ps, chunks, cached)
        self._started_ps = start_ps
        return start_ps + duration_ps

    def _serve_running(self, start_ps: int) -> tuple[int, bool, int | None]:
        """Answers what is left of the token budget, and whether somebody lost his blocks to the others.

        And the priority of the most urgent who was pushed out, if anybody was. Blocks are counted before any
        is taken, so nothing has to be undone for one who loses his place.
        """
        preemptions, limit = self._preemptions, None
        wants = self._make_room(start_ps)
        if self._preempts and self._preemptions == preemptions:
            while (pushed := self._to_push_out(wants)) is not None:
                limit = pushed.sequence.priority
                self._lose(pushed, self._queue.head(), start_ps, pushed_out=True)
                wants = self._wants()
        self._serve(wants)
        left = self._limits.max_num_batched_tokens - sum(new for _, new in wants)
        return left, limit is None and self._preemptions > preemptions, limit

    def _make_room(self, start_ps: int) -> list[tuple[SteppedWork, int]]:
        """Who computes how many tokens, when enough have lost their places for the others' blocks."""
        wants = self._wants()
        while self._blocks_for(wants) > self._pool.free:
            self._lose(self._victim(), self._starved(wants), start_ps, pushed_out=False)
            wants = self._wants()
        return wants

    def _starved(self, wants: list[tuple[SteppedWork, int]]) -> SteppedWork:
        """Whose blocks lack: the first, in admission order, for whom those before it leave too few."""
        free = self._pool.free
        for work, new in wants:
            free -= self._pool.more(work, work.cached, work.cached + new)
            if free < 0:
                return work
        raise AssertionError("blocks suffice")

    def _serve(self, wants: list[tuple[SteppedWork, int]]) -> None:
        for work, new in wants:
            self._pool.grow(work, work.cached, work.cached + new)
        self._shares += wants

    def _victim(self) -> SteppedWork:
        """The one admitted last; of the least urgent where the queue goes by urgency."""
        latest_first = reversed(self._running)
        if not self._queue.ranked:
            return next(latest_first)
        return max(latest_first, key=lambda work: work.sequence.priority)

    def _to_push_out(self, wants: list[tuple[SteppedWork, int]]) -> SteppedWork | None:
        """Whose place the head of the queue takes next, if it cannot enter and that may help."""
        head = self._queue.head()
        if head is None or not self._running:
            return None
        victim, partial = self._victim(), self._running[-1]
        left = self._limits.max_num_batched_tokens - sum(new for _, new in wants)
        if not left and not partial.decoding:
            victim = partial  # it would get the tokens of anybody else
        free = self._pool.free - self._blocks_for(wants)
        slots = self._limits.max_num_seqs - len(self._running)
        free -= self._limits.watermark_blocks
        enters = left > 0 and slots > 0 and self._pool.fits(head, left, free)
        return victim if not enters and victim.sequence.priority > head.sequence.priority else None

    def _wants(self) -> list[tuple[SteppedWork, int]]:
        """Who computes how many tokens of those who run, in admission order."""
        left = self._limits.max_num_batched_tokens
        wants = []
        for work in self._running:
            new = min(work.lacking, left)
            assert new >= 1, "running sequences never outnumber the budget"
            wants.append((work, new))
            left -= new
        return wants

    def _blocks_for(self, wants: list[tuple[SteppedWork, int]]) -> int:
        return sum(self._pool.more(work, work.cached, work.cached + new) for work, new in wants)

    def _lose(self, work: SteppedWork, by: SteppedWork | None, start_ps: int, *, pushed_out: bool) -> None:
        if self._preemption_log is not None:
            assert by is not None, "nobody waits, so nobody pushes out"
            self._preemption_log.lost(work, by, start_ps, work.cached, pushed_out=pushed_out)
        self._preempt(work)

    def _preempt(self, work: SteppedWork) -> None:
        self._running.remove(work)
        self._pool.give_back(work, work.cached)
        work.start_over()
        work.decoding = False
        self._preemptions += 1
        self._queue.requeue(work)
        self._waiting += 1
        if self._batches is not None:
            self._batches.places += 1

    def _admit(self, start_ps: int, left: int, limit: int | None) -> None:
        """Only those more urgent than `limit`: whoever was pushed out does not come back in the same step."""
        while self._waiting and len(self._running) < self._limits.max_num_seqs and left > 0:
            if self._batches is not None and not self._batches.places:
                return
            work = self._queue.head()
            assert work is not None, "the queue lost somebody"
            if limit is not None and work.sequence.priority >= limit:
                return
            new = self._first_chunk(work, left)
            if not new:
                return  # nobody overtakes the head of the queue
            self._queue.pop()
            self._waiting -= 1
            self._running.append(work)
            if self._batches is not None:
                self._batches.places -= 1
            self._shares.append((work, new))
            left -= new
            if work.sequence.started_ps < 0:
                work.sequence.started_ps = start_ps
            elif self._preemption_log is not None:
                self._preemption_log.entered(work, start_ps)

    def _first_chunk(self, work: SteppedWork, left: int) -> int:
        """Tokens that `work` computes in its first step, 0 where it cannot enter.

        Whoever would run alone may have all blocks, or a prompt beyond the watermark would wait for ever.
        """
        watermark, pool = self._limits.watermark_blocks, self._pool
        if watermark and self._running and not pool.fits(work, left, pool.free - watermark):
            return 0
        return pool.admit(work, left)


def _leave(work: SteppedWork, now_ps: int, ended: list[Sequence]) -> None:
    work.gone = True
    work.sequence.last_ps = now_ps
    ended.append(work.sequence)


def _work_of(sequence: Sequence) -> SteppedWork:
    work = sequence.scratch
    assert isinstance(work, SteppedWork), f"{sequence} was never added to this kind of kernel"
    return work
