"""The plain kernel: a boundary after every step, any step-time law.

Written for the reader, not for speed: it is the oracle of `sim.node.fast_forward`, and serves laws that are
not affine.
"""

from bisect import bisect_right
from collections import deque
from operator import attrgetter

from hwmodels.step_time import StepTime
from sim.node.gaps import GapCounts, stretch
from sim.node.kernel import BatchLimits, Boundary, Sequence

_by_number = attrgetter("number")


class _Work:
    """What the engine knows about one sequence."""

    __slots__ = ("blocks", "cached", "decoding", "earlier_tokens", "latest_ps", "sequence", "token_ps")

    def __init__(self, sequence: Sequence, cached: int) -> None:
        self.sequence = sequence
        self.cached = cached  # tokens in the KV cache
        self.blocks = 0  # KV blocks held
        self.decoding = False
        self.latest_ps = -1  # when its latest token came, -1 before the first made here
        self.earlier_tokens = sequence.generated  # made elsewhere, or before the times that still matter
        self.token_ps: list[int] = []  # when the other tokens came, if the schedule is kept

    @property
    def lacking(self) -> int:
        """Tokens to compute before the next output token: the rest of a prefill, or the last token alone."""
        return self.sequence.prompt_tokens + self.sequence.generated - self.cached


class StepEngine:
    """Continuous batching with chunked prefill in the manner of vLLM V1, one step at a time.

    A step gives one token to every decoding sequence in admission order, then as much of its prompt as the
    budget allows to the one that is partly prefilled, then admits first come, first served. Only the budget
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
        gaps: GapCounts | None = None,
    ) -> None:
        self.steps = 0
        self.preemptions = 0
        self.busy_ps = 0
        self.sequence_ps = 0
        self.prompt_tokens_done = 0
        self.output_tokens_done = 0
        self.free_blocks = limits.kv_blocks
        self._limits = limits
        self._law = law
        self._keep_schedule = keep_schedule
        self._gaps = gaps
        self._arrived: list[tuple[int, bool, int, _Work]] = []  # since the last boundary, see `add`
        self._waiting: deque[_Work] = deque()
        self._running: list[_Work] = []  # in admission order
        self._leaving: list[_Work] = []  # to be taken out at the next boundary
        self._shares: list[tuple[_Work, int]] = []  # the step in progress: who computes how many tokens
        self._started_ps = 0
        self._next_ps: int | None = None

    @property
    def waiting(self) -> int:
        return len(self._waiting) + len(self._arrived)

    @property
    def running(self) -> int:
        return len(self._running)

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
        sequence.scratch = work = _Work(sequence, computed)
        self._arrived.append((now_ps, after_boundary, sequence.number, work))
        if self._next_ps is None:
            self._next_ps = now_ps
        return self._due(now_ps)

    def remove(self, now_ps: int, sequence: Sequence, *, after_boundary: bool = False) -> int | None:
        assert not (after_boundary and self._shares and now_ps == self._next_ps), now_ps
        work = _work_of(sequence)
        assert work in self._running or work in self._waiting or any(w is work for *_, w in self._arrived), (
            sequence
        )
        self._leaving.append(work)
        return self._due(now_ps)

    def change_law(self, now_ps: int, law: StepTime, *, after_boundary: bool = False) -> int | None:
        assert not (after_boundary and self._shares and now_ps == self._next_ps), now_ps
        self._law = law  # the step in progress has its duration already
        return self._due(now_ps)

    def boundary(self, now_ps: int) -> Boundary:
        assert now_ps == self._next_ps, (now_ps, self._next_ps)
        firsts, ended = self._end_step(now_ps)
        self._take_in()
        for work in self._leaving:
            if work.sequence not in ended:  # a last token beats a removal
                self._take_out(work, now_ps)
                ended.append(work.sequence)
        self._leaving.clear()
        self._next_ps = self._start_step(now_ps) if self._running or self._waiting else None
        return Boundary(self._next_ps, sorted(firsts, key=_by_number), sorted(ended, key=_by_number))

    def drain(self, now_ps: int) -> Boundary:
        firsts, ended = self._end_step(now_ps) if self._due(now_ps) == now_ps else ([], [])
        self._shares.clear()  # the step in progress is lost
        self._take_in()
        for work in [*self._running, *self._waiting]:
            self._take_out(work, now_ps)
            ended.append(work.sequence)
        self._leaving.clear()
        self._next_ps = None
        assert self.free_blocks == self._limits.kv_blocks, self.free_blocks
        return Boundary(None, sorted(firsts, key=_by_number), sorted(ended, key=_by_number))

    def tokens_by(self, sequence: Sequence, at_ps: int) -> int:
        assert self._keep_schedule, "tokens_by needs a kernel made with keep_schedule=True"
        work = _work_of(sequence)
        due_now = at_ps == self._due(at_ps) and any(w is work and w.lacking == new for w, new in self._shares)
        return work.earlier_tokens + bisect_right(work.token_ps, at_ps) + due_now

    def forget(self, before_ps: int) -> None:
        for work in [*self._running, *self._waiting]:
            past = bisect_right(work.token_ps, before_ps)
            work.earlier_tokens += past
            del work.token_ps[:past]

    def blocks_in_use(self, at_ps: int) -> int:
        self._due(at_ps)  # no later than the end of the step
        return self._limits.kv_blocks - self.free_blocks

    def _due(self, now_ps: int) -> int | None:
        assert self._next_ps is None or now_ps <= self._next_ps, (now_ps, self._next_ps)
        return self._next_ps

    def _end_step(self, now_ps: int) -> tuple[list[Sequence], list[Sequence]]:
        firsts: list[Sequence] = []
        ended: list[Sequence] = []
        shares, self._shares = self._shares, []
        self._count_step(now_ps - self._started_ps, shares)
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
            self.output_tokens_done += 1
            if self._keep_schedule:
                work.token_ps.append(now_ps)
            if sequence.generated == 1:
                sequence.first_ps = now_ps
                firsts.append(sequence)
            if sequence.generated == sequence.output_tokens:
                self._take_out(work, now_ps)
                ended.append(sequence)
        return firsts, ended

    def _count_step(self, lasted_ps: int, shares: list[tuple[_Work, int]]) -> None:
        if not shares:  # the kernel was idle
            return
        self.steps += 1
        self.busy_ps += lasted_ps
        self.sequence_ps += lasted_ps * len(shares)
        self.prompt_tokens_done += sum(new for work, new in shares if not work.decoding)

    def _count_gaps(self, now_ps: int, shares: list[tuple[_Work, int]], gaps: GapCounts) -> None:
        """Before the new tokens are noted. Whoever was preempted waited longer than this step."""
        got_token = [work for work, new in shares if work.lacking == new and work.latest_ps >= 0]
        steady = sum(work.latest_ps == self._started_ps for work in got_token)
        if steady:
            gaps.add(stretch(self._started_ps, 1, now_ps - self._started_ps, 0, steady))
        for work in got_token:
            if work.latest_ps != self._started_ps:
                gaps.add_one(work.latest_ps, now_ps)

    def _take_in(self) -> None:
        self._arrived.sort(key=lambda arrival: arrival[:3])
        self._waiting.extend(work for *_, work in self._arrived)
        self._arrived.clear()

    def _take_out(self, work: _Work, now_ps: int) -> None:
        queue = self._running if work in self._running else self._waiting
        queue.remove(work)
        self._release_blocks(work)
        work.sequence.last_ps = now_ps

    def _start_step(self, now_ps: int) -> int:
        left, preempted = self._serve_running()
        if not preempted:
            self._admit(now_ps, left)
        assert self._shares, "the first running sequence, or else the first waiting one, always finds room"
        chunks = [(new, work.cached) for work, new in self._shares if not work.decoding]
        cached = [work.cached for work, _ in self._shares if work.decoding]
        duration_ps = self._law.step_ps(chunks, len(cached), sum(cached))
        assert duration_ps >= 1, (duration_ps, chunks, cached)
        self._started_ps = now_ps
        return now_ps + duration_ps

    def _serve_running(self) -> tuple[int, bool]:
        """Answers what is left of the token budget, and whether somebody lost his place."""
        left = self._limits.max_num_batched_tokens
        preemptions = self.preemptions
        served = 0
        while served < len(self._running):  # the list may shrink from its end meanwhile
            work = self._running[served]
            new = min(work.lacking, left)
            assert new >= 1, "running sequences never outnumber the budget"
            if not self._make_room(work, new):
                break
            self._share(work, new)
            left -= new
            served += 1
        return left, self.preemptions > preemptions

    def _make_room(self, work: _Work, new: int) -> bool:
        """Preempts from the tail until `new` tokens find free blocks; False if `work` itself had to go."""
        while self._blocks_for(work, new) > self.free_blocks:
            victim = self._running.pop()
            self._preempt(victim)
            if victim is work:
                return False
        return True

    def _preempt(self, work: _Work) -> None:
        self._release_blocks(work)
        work.cached = 0  # prompt and output so far are computed again
        work.decoding = False
        work.sequence.preemptions += 1
        self.preemptions += 1
        self._waiting.appendleft(work)

    def _admit(self, now_ps: int, left: int) -> None:
        while self._waiting and len(self._running) < self._limits.max_num_seqs and left > 0:
            work = self._waiting[0]
            found = self._blocks_of_siblings(work)
            cached = max(work.cached, found * self._limits.block_size)
            new = min(work.lacking + work.cached - cached, left)
            if self._limits.blocks(cached + new) - found > self.free_blocks:
                return  # nobody overtakes the head of the queue
            self._waiting.popleft()
            self._running.append(work)
            work.cached, work.blocks = cached, found
            if work.sequence.shared_prompt is not None:
                work.sequence.shared_prompt.holders += 1
            self._share(work, new)
            left -= new
            if work.sequence.started_ps < 0:
                work.sequence.started_ps = now_ps

    def _share(self, work: _Work, new: int) -> None:
        blocks = self._blocks_for(work, new)
        self.free_blocks -= blocks
        work.blocks += blocks
        self._shares.append((work, new))

    def _blocks_for(self, work: _Work, new: int) -> int:
        return self._limits.blocks(work.cached + new) - work.blocks

    def _blocks_of_siblings(self, work: _Work) -> int:
        """Blocks of its prompt that are there already.

        All that can be shared, or none: only the budget cuts a prefill short, and then the step has no tokens
        left to admit a sibling.
        """
        prompt = work.sequence.shared_prompt
        if prompt is None or not prompt.holders:
            return 0
        return self._limits.shareable(work.sequence.prompt_tokens)

    def _release_blocks(self, work: _Work) -> None:
        if not work.blocks:
            return  # it was waiting
        prompt = work.sequence.shared_prompt
        if prompt is not None:
            prompt.holders -= 1
        self.free_blocks += work.blocks - self._blocks_of_siblings(work)
        work.blocks = 0


def _work_of(sequence: Sequence) -> _Work:
    work = sequence.scratch
    assert isinstance(work, _Work), f"{sequence} was never added to this kind of kernel"
    return work
