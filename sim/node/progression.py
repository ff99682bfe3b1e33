"""Stretches of steps whose durations form an arithmetic progression, in closed form over integers."""

from bisect import bisect_right
from math import isqrt
from operator import itemgetter

_started_ps = itemgetter(0)


def lasting(steps: int, first_ps: int, slope_ps: int) -> int:
    """Sum of `steps` durations: the first is `first_ps`, each is `slope_ps` longer than the one before."""
    return steps * first_ps + slope_ps * (steps * (steps - 1) // 2)


def steps_within(elapsed_ps: int, first_ps: int, slope_ps: int) -> int:
    """Steps that are over after `elapsed_ps`: the largest j with `lasting(j) <= elapsed_ps`.

    Exact: for integers, floor((sqrt(x) - h) / m) == (isqrt(x) - h) // m.
    """
    if not slope_ps:
        return elapsed_ps // first_ps
    h = 2 * first_ps - slope_ps
    return (isqrt(h * h + 8 * slope_ps * elapsed_ps) - h) // (2 * slope_ps)


def steps_to_reach(elapsed_ps: int, first_ps: int, slope_ps: int) -> int:
    """Steps, one at least, until `elapsed_ps` have passed: the smallest j with `lasting(j) >= elapsed_ps`."""
    steps = steps_within(elapsed_ps, first_ps, slope_ps)
    if not steps or lasting(steps, first_ps, slope_ps) < elapsed_ps:
        return steps + 1
    return steps


Stretch = tuple[int, int, int, int, int]
"""Start, steps finished before, steps, duration of the first, growth per step.

A plain tuple of ints, because the garbage collector leaves those alone and a log holds many of them.
"""


def steps_by(at_ps: int, stretch: Stretch) -> int:
    """Steps finished at `at_ps`, which is not before the stretch, those before it included."""
    started_ps, steps_before, steps, first_ps, slope_ps = stretch
    return steps_before + min(steps, steps_within(at_ps - started_ps, first_ps, slope_ps))


class StretchLog:
    """The stretches of a kernel in order; between two of them it was idle."""

    __slots__ = ("_stretches", "append")

    def __init__(self) -> None:
        self._stretches: list[Stretch] = []
        self.append = self._stretches.append

    def steps_by(self, at_ps: int) -> int:
        index = bisect_right(self._stretches, at_ps, key=_started_ps) - 1
        return steps_by(at_ps, self._stretches[index]) if index >= 0 else 0

    def forget(self, before_ps: int) -> None:
        """Keeps what `steps_by` needs from `before_ps` on."""
        index = bisect_right(self._stretches, before_ps, key=_started_ps) - 1
        if index > 0:
            del self._stretches[:index]
