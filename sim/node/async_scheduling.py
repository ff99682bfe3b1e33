"""Both kernels with asynchronous scheduling: the next step is formed while the present one is under way.

When step k ends, vLLM forms step k+2, for step k+1 has begun. Nothing that happens before step k+1 begins
depends on when its members were chosen, only on what was known then. So here too a step is formed at the
boundary at which it begins, but by what the engine had heard of one boundary before:

- Who reaches the engine while step k is under way joins step k+2, since step k+1 takes nobody that new.
- Slots and KV blocks of who ends with step k, leaves while it is under way or is released serve step k+2.
- Whose last token says that it ends there (`Sequence.stops`) is in step k+1 for nothing, and so is who left.
- The engine counts the tokens of step k+1 ahead, so whose length is known ends without such a step.
- As in vLLM, who is complete can be pushed out of a step that was formed before the engine knew.

An engine that has formed no step takes whoever comes at once.
"""

from operator import attrgetter

from sim.node.fast_forward import FastForward, ForwardedWork
from sim.node.kernel import Boundary, Sequence
from sim.node.step_engine import StepEngine, SteppedWork

_by_number = attrgetter("number")


class AsyncStepEngine(StepEngine):
    """`StepEngine`, where each step is formed by what was known when the one before it began."""

    def _set_up(self) -> None:
        assert self._batches is None, "a batch that nobody joins is formed when the one before is through"
        self._through: list[SteppedWork] = []  # complete, with a slot and blocks until the engine hears of it

    def boundary(self, now_ps: int) -> Boundary:
        due_ps = self._next_ps  # a name of its own, or mypyc takes the attribute for an int from here on
        assert now_ps == due_ps, (now_ps, due_ps)
        under_way, next_ps = bool(self._shares), None
        firsts, ended = self._end_step(now_ps)
        if under_way and (self._running or self._waiting):
            next_ps = self._start_step(now_ps)
        self._hear(now_ps, ended)
        if next_ps is None and (self._running or self._waiting):
            next_ps = self._start_step(now_ps + self._launch_ps)
        self._next_ps = next_ps
        return Boundary(next_ps, sorted(firsts, key=_by_number), sorted(ended, key=_by_number))

    def drain(self, now_ps: int) -> Boundary:
        boundary = super().drain(now_ps)
        self._through.clear()
        return boundary

    def _complete(self, work: SteppedWork, now_ps: int, ended: list[Sequence]) -> None:
        work.gone = True
        work.sequence.last_ps = now_ps
        ended.append(work.sequence)
        self._through.append(work)

    def _hear(self, now_ps: int, ended: list[Sequence]) -> None:
        for work in self._through:
            self._let_go(work)
        self._through.clear()
        super()._hear(now_ps, ended)

    def _take_out(self, work: SteppedWork, now_ps: int, ended: list[Sequence]) -> None:
        if work not in self._running:
            super()._take_out(work, now_ps, ended)
            return
        work.gone = True
        work.sequence.last_ps = now_ps
        ended.append(work.sequence)
        self._let_go(work)

    def _let_go(self, work: SteppedWork) -> None:
        """Of its slot and blocks, those included that it got for the step that begins."""
        self._running.remove(work)
        new = sum(new for other, new in self._shares if other is work)
        if work in self._through and work.sequence.hands_over:
            self._kept[work.sequence] = work
        elif new and work.decoding:  # that further token is nobody's, so its block has no name
            self._pool.shrink(work, work.cached + new, work.cached)
            self._pool.give_back(work, work.cached)
        else:
            self._pool.give_back(work, work.cached + new)

    def _preempt(self, work: SteppedWork) -> None:
        if not work.gone:
            super()._preempt(work)
            return
        self._let_go(work)
        self._through.remove(work)
        work.sequence.preemptions += 1
        self._preemptions += 1

    def _wants(self) -> list[tuple[SteppedWork, int]]:
        everybody = self._running
        self._running = [work for work in everybody if not self._counted(work)]
        wants = super()._wants()
        self._running = everybody
        return wants

    def _counted(self, work: SteppedWork) -> bool:
        """Whether the engine knew before that it would be complete by now."""
        return work.gone and (work.sequence.hands_over or not work.sequence.stops)

    def _begin(self, start_ps: int) -> int | None:
        comes_free = self._through or self._freed  # when the engine hears of it
        return super()._begin(start_ps) if self._shares or not comes_free else None


class AsyncFastForward(FastForward):
    """The same for `FastForward`: who comes cuts a stretch one step later."""

    __slots__ = ("_ghosts", "_through", "_wasted_rows", "_wasted_tokens")
    steps_ahead = 1

    def _set_up(self) -> None:
        assert self._batches is None, "a batch that nobody joins is formed when the one before is through"
        self._through: list[ForwardedWork] = []
        self._ghosts = False  # some of those will be in the step that is planned next
        self._wasted_rows = 0  # of the step under way, for sequences that are gone
        self._wasted_tokens = 0  # in those

    def boundary(self, now_ps: int) -> Boundary:
        due_ps = self._next_ps  # a name of its own, or mypyc takes the attribute for an int from here on
        assert now_ps == due_ps, (now_ps, due_ps)
        firsts: list[Sequence] = []
        ended: list[Sequence] = []
        if self._stretch:
            if self._stretch > 1 and self._arrived:
                self._take_in_until(now_ps - self._first_ps - self._slope_ps * (self._stretch - 1))
            self._end_stretch(now_ps, firsts, ended)
            if self._running or self._waiting:
                self._plan(now_ps)
        heard = self._hear(now_ps, ended)
        if not self._stretch:
            if self._running or self._waiting:
                self._plan(now_ps + self._launch_ps)
            else:
                self._fall_idle()
        elif self._stretch > 1 and (self._wasted_rows or (heard and self._waiting)):
            self._stretch = 1  # the next step may have other members
            self._next_ps = now_ps + self._first_ps
        if len(firsts) > 1:
            firsts.sort(key=_by_number)
        if len(ended) > 1:
            ended.sort(key=_by_number)
        return Boundary(self._next_ps, firsts, ended)

    def drain(self, now_ps: int) -> Boundary:
        boundary = super().drain(now_ps)
        for work in self._through:
            del work.sequence
        self._through.clear()
        self._ghosts = False
        self._wasted_rows = self._wasted_tokens = 0
        return boundary

    def _take_in_until(self, began_ps: int) -> None:
        """Who came before the last step of the stretch began, since it was formed."""
        early = (began_ps, False)
        arrived = self._arrived
        self._arrived = [work for work in arrived if work.arrived[:2] <= early]
        self._take_in()
        self._arrived += [work for work in arrived if work.arrived[:2] > early]

    def _hear(self, now_ps: int, ended: list[Sequence]) -> bool:
        """Of all that has happened since the last step began; whether anything has."""
        heard = bool(self._through or self._arrived or self._freed or self._leaving)
        if self._through:
            for work in self._through:
                self._release(work)
                if not work.sequence.hands_over:
                    del work.sequence  # as of those who leave
            self._through.clear()
            self._ghosts = False
        if self._arrived:
            self._take_in()
        if self._freed:
            self._free()
        if self._leaving:
            self._take_out(now_ps, ended)
        return heard

    def _end_stretch(self, now_ps: int, firsts: list[Sequence], ended: list[Sequence]) -> None:
        self._sequence_ps += self._wasted_rows * (now_ps - self._started_ps)
        super()._end_stretch(now_ps, firsts, ended)
        self._wasted_rows = self._wasted_tokens = 0

    def _tokens_of_a_step(self) -> int:
        return super()._tokens_of_a_step() + self._wasted_tokens

    def _complete(self, work: ForwardedWork, now_ps: int, ended: list[Sequence]) -> None:
        sequence = work.sequence
        if sequence.stops and not sequence.hands_over:
            if work.ticket <= 0:
                self._start_decoding(work)
            sequence.generated = sequence.output_tokens
            self._ghosts = True
        elif work.ticket > 0:
            self._stop_decoding(work)
        work.gone = True
        sequence.last_ps = now_ps
        ended.append(sequence)
        self._through.append(work)

    def _keep(self, work: ForwardedWork, now_ps: int, ended: list[Sequence]) -> None:
        self._complete(work, now_ps, ended)

    def _release(self, work: ForwardedWork) -> None:
        """Also what it got for the step that begins, in which it computes for nothing."""
        if work.sequence.hands_over and work in self._through:
            del self._running[work]
            self._kept[work.sequence] = work
            return
        if self._stretch:
            self._waste(work)
        super()._release(work)

    def _waste(self, work: ForwardedWork) -> None:
        if work.ticket > 0:  # its further token is nobody's, so that block has no name
            cached = work.offset + self._clock
            self._pool.shrink(work, cached + 1, cached)
            self._wasted_tokens += 1
        elif work in self._prefilling:
            self._prefilling.remove(work)
            work.cached += work.new
            self._wasted_tokens += work.new
        else:
            return
        self._wasted_rows += 1

    def _preempt(self, work: ForwardedWork, now_ps: int) -> None:
        if not work.gone:
            super()._preempt(work, now_ps)
            return
        self._release(work)
        self._through.remove(work)
        work.sequence.preemptions += 1
        self._preemptions += 1
        if not work.sequence.hands_over:
            del work.sequence

    def _steps_to_finish(self) -> int:
        return 1 if self._ghosts else super()._steps_to_finish()

    def _wait_for_blocks(self) -> None:
        if not (self._through or self._freed):
            super()._wait_for_blocks()
