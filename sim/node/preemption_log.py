"""Which sequences of a node lost their KV blocks, to whom and when, and when they were taken in again."""

from collections.abc import Callable
from typing import NamedTuple

from sim.node.kernel import Sequence
from sim.node.work import Work


class Preemption(NamedTuple):
    number: int
    """Of the request that lost its blocks."""
    by: int
    """Of the one that they were taken for: its own, where it was itself that found no room to grow."""
    pushed_out: bool
    """`by` waited and was more urgent; else it ran and its next tokens found the pool full."""
    lost_ps: int
    """The step that it is not in any more began."""
    back_ps: int
    """The first step that held a part of it again began, -1: it left before."""
    held_tokens: int
    """In the KV cache, when that was lost."""
    found_tokens: int
    """Of these, in the prefix cache when it came back: the others are computed again."""


class _Away(NamedTuple):
    by: int
    pushed_out: bool
    lost_ps: int
    held_tokens: int


class PreemptionLog:
    """Of one node, or of all ranks of one. `tell` hears of each when it is over: none is told twice."""

    __slots__ = ("_away", "_tell")

    def __init__(self, tell: Callable[[Preemption], None]) -> None:
        self._tell = tell
        self._away: dict[Sequence, _Away] = {}
        """Those that wait to come back: they are inside the node, which bounds them."""

    def lost(self, work: Work, by: Work, at_ps: int, held_tokens: int, *, pushed_out: bool) -> None:
        """`work` gives up its blocks at the beginning of a step. Who is complete by then stays away."""
        away = _Away(by.sequence.number, pushed_out, at_ps, held_tokens)
        if work.gone:
            self._over(work.sequence, away, -1, 0)
        else:
            self._away[work.sequence] = away

    def entered(self, work: Work, at_ps: int) -> None:
        """`work` is in a step, and not for the first time; its `cached` is what it found."""
        away = self._away.pop(work.sequence, None)
        if away is not None:
            self._over(work.sequence, away, at_ps, min(work.cached, away.held_tokens))

    def left(self, sequence: Sequence) -> None:
        """Out of the queue, and not into a step."""
        away = self._away.pop(sequence, None)
        if away is not None:
            self._over(sequence, away, -1, 0)

    def _over(self, sequence: Sequence, away: _Away, back_ps: int, found_tokens: int) -> None:
        by, pushed_out, lost_ps, held_tokens = away
        self._tell(Preemption(sequence.number, by, pushed_out, lost_ps, back_ps, held_tokens, found_tokens))
