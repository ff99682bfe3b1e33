"""Both kernels without chunked prefill: prompts are computed whole, in steps of their own, before any decode.

As vLLM did before chunked prefill, and does without it: whoever waits and fits is prefilled at once, while
those who decode stand still.
"""

from hwmodels.step_time import Chunk
from sim.node.fast_forward import FastForward, ForwardedWork
from sim.node.gaps import stretch
from sim.node.kernel import Boundary, Sequence
from sim.node.progression import Stretch, lasting
from sim.node.step_engine import StepEngine, SteppedWork

NOT_STALLED = -1


class WholePrefillStepEngine(StepEngine):
    """A step prefills, or it decodes."""

    def _start_step(self, start_ps: int) -> int | None:
        limit = self._push_out(start_ps)
        self._admit(start_ps, self._limits.max_num_batched_tokens, limit)
        if not self._shares:
            self._serve(self._make_room(start_ps))
        return self._begin(start_ps)

    def _push_out(self, start_ps: int) -> int | None:
        limit, head = None, self._queue.head()
        while self._preempts and head is not None and self._running:
            victim = self._victim()
            places = len(self._running) < min(self._limits.max_num_seqs, self._limits.max_num_batched_tokens)
            free = self._pool.free - self._limits.watermark_blocks
            fits = self._pool.fits(head, self._limits.max_num_batched_tokens, free)
            if (places and fits) or victim.sequence.priority <= head.sequence.priority:
                break
            limit = victim.sequence.priority
            self._lose(victim, head, start_ps, pushed_out=True)
        return limit

    def _first_chunk(self, work: SteppedWork, left: int) -> int:
        """The whole prompt or nothing; and each who runs needs a token of the budget when all decode."""
        whole = work.goal - self._pool.in_cache(work) <= left
        slots = len(self._running) < self._limits.max_num_batched_tokens
        return super()._first_chunk(work, left) if whole and slots else 0


class WholePrefillFastForward(FastForward):
    """The clock of those who decode stands still while others are prefilled.

    Their next token then ends a longer gap: those in `_fresh` had theirs at the end of their prefill, all
    others when the first of the prefill steps began.
    """

    __slots__ = ("_fresh", "_stalled", "_stalled_since_ps", "_stalled_steps")

    def _set_up(self) -> None:
        self._max_num_seqs = min(self._max_num_seqs, self._budget)  # each needs a token when all decode
        self._first_chunk = self._whole_prompt
        self._stalled = False  # the present step prefills
        self._stalled_steps = 0
        self._stalled_since_ps = NOT_STALLED
        self._fresh: dict[ForwardedWork, int] = {}
        """Who began to decode since the clock went last, and when."""

    @property
    def steps(self) -> int:
        return self._clock + self._stalled_steps

    def drain(self, now_ps: int) -> Boundary:
        boundary = super().drain(now_ps)
        self._clock_goes()
        self._stalled = False
        return boundary

    def _whole_prompt(self, work: ForwardedWork, left: int) -> int:
        return self._take(work, left) if work.goal - self._pool.in_cache(work) <= left else 0

    def _present(self) -> Stretch:
        steps = 0 if self._stalled else self._stretch
        return self._started_ps, self._clock, steps, self._first_ps, self._slope_ps

    def _end_stretch(self, now_ps: int, firsts: list[Sequence], ended: list[Sequence]) -> None:
        if self._stalled:
            self._end_prefill(now_ps, firsts, ended)
            return
        add_gaps, self._add_gaps = self._add_gaps, None
        if add_gaps is not None:
            for row in self._gap_rows(self._stretch):
                add_gaps(row)
        self._clock_goes()
        super()._end_stretch(now_ps, firsts, ended)
        self._add_gaps = add_gaps

    def _end_prefill(self, now_ps: int, firsts: list[Sequence], ended: list[Sequence]) -> None:
        prefilled = self._prefilling
        if self._stepped is not None:
            self._stepped(1, sum(work.new for work in prefilled))
        lasted_ps = now_ps - self._started_ps
        self._busy_ps += lasted_ps
        self._sequence_ps += lasted_ps * len(prefilled)
        self._stalled_steps += 1
        self._end_chunks(now_ps, firsts, ended)
        for work in prefilled:
            if work.ticket > 0:
                self._fresh[work] = now_ps
        self._stretch = 0

    def _gap_rows(self, steps: int) -> tuple[bytes, ...]:
        """Of a stretch of decode steps, the first of which may end longer ones."""
        decodes = self._decodes
        if not decodes:
            return ()
        first_end_ps = self._started_ps + self._first_ps
        rows = [stretch(since_ps, 1, first_end_ps - since_ps, 0, 1) for since_ps in self._fresh.values()]
        others = decodes - len(self._fresh)
        if others:
            since_ps = self._latest_ps(self._started_ps)
            rows.append(stretch(since_ps, 1, first_end_ps - since_ps, 0, others))
        if steps > 1:
            slope_ps = self._slope_ps if steps > 2 else 0
            second_ps = self._first_ps + self._slope_ps
            rows.append(stretch(first_end_ps, steps - 1, second_ps, slope_ps, decodes))
        return tuple(rows)

    def _latest_ps(self, boundary_ps: int) -> int:
        """Of those who are not fresh: this boundary, unless steps have prefilled since."""
        return boundary_ps if self._stalled_since_ps == NOT_STALLED else self._stalled_since_ps

    def _clock_goes(self) -> None:
        self._stalled_since_ps = NOT_STALLED
        self._fresh.clear()

    def _plan(self, start_ps: int) -> None:
        chunks: list[Chunk] = []
        limit, preempted = None, False
        if self._waiting:
            if self._preempts:
                limit = self._push_out(start_ps)
            self._admit(start_ps, self._budget, chunks, limit)
        self._started_ps = start_ps
        self._stalled = bool(chunks)
        if chunks:
            if self._stalled_since_ps == NOT_STALLED:
                self._stalled_since_ps = start_ps
            self._first_ps = self._law.step_ps(chunks, 0, 0)
            self._slope_ps = 0
            self._stretch = 1
            self._open = False
        else:
            preempted = self._make_room(start_ps)
            if not self._decodes:
                self._wait_for_blocks()
                return
            self._pool.take(self._demand[self._clock % self._block_size])
            self._plan_decode(preempted)
        if self._preempts:
            self._stay_open(once=preempted or limit is not None)
        assert self._first_ps >= 1, (self._first_ps, chunks, self._decodes, self._kv_tokens)
        self._next_ps = start_ps + lasting(self._stretch, self._first_ps, self._slope_ps)

    def _push_out(self, now_ps: int) -> int | None:
        limit, head = None, self._queue.head()
        while head is not None and self._running:
            victim = self._running.victim()
            places = len(self._running) < self._max_num_seqs
            fits = self._pool.fits(head, self._budget, self._pool.free - self._watermark)
            if (places and fits) or victim.sequence.priority <= head.sequence.priority:
                break
            limit = victim.sequence.priority
            self._lose(victim, head, now_ps)
        return limit

    def _preempt(self, work: ForwardedWork, now_ps: int) -> None:
        super()._preempt(work, self._fresh.get(work, self._latest_ps(now_ps)))

    def _release(self, work: ForwardedWork) -> None:
        super()._release(work)
        self._fresh.pop(work, None)
