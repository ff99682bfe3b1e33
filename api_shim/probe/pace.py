"""The rate that nobody exceeds: whoever sends takes a turn first.

In any time of w seconds at most `rate_per_s * w + burst` turns are given (the generic cell rate algorithm,
ITU-T I.371). Time is that of the running loop, so that it may be virtual.
"""

import asyncio
from collections.abc import Sequence

ROUNDING = 1e-9
"""Turns are so much further apart than they need be, as a share: rounding must not make them closer."""


class Pace:
    def __init__(self, rate_per_s: float, burst: int = 1) -> None:
        assert rate_per_s > 0, rate_per_s
        assert burst >= 1, burst
        self.rate_per_s = rate_per_s
        self.burst = burst
        self._gap_s = (1 + ROUNDING) / rate_per_s
        self._slack_s = (burst - 1) * self._gap_s
        self._due_s: float | None = None
        """When the next turn would come if all were evenly apart."""
        self._line = asyncio.Lock()

    async def turn(self) -> float:
        """Wait for it and take it. Returns the time: the caller sends at once."""
        loop = asyncio.get_running_loop()
        async with self._line:
            now_s = loop.time()
            due_s = now_s if self._due_s is None else self._due_s
            while now_s < due_s - self._slack_s:  # a timer may be early by what its clock resolves
                await asyncio.sleep(due_s - self._slack_s - now_s)
                now_s = loop.time()
            self._due_s = max(now_s, due_s) + self._gap_s
            return now_s


def burst_of(times_s: Sequence[float], rate_per_s: float) -> int:
    """The least burst with which `times_s`, in ascending order, need not wait."""
    level, most, before = 0.0, 1.0, 0.0
    for at_s in times_s:
        level = max(0.0, level - (at_s - before) * rate_per_s) + 1
        before, most = at_s, max(most, level)
    return int(-(-most // 1))
