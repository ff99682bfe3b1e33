"""Speeds are reported as ratios to a loop that only pops and pushes a heap, measured in the same run.

Machines are noisy: no time is asserted, only counts that do not depend on the machine.
"""

import gc
import time  # noqa: TID251 -- it measures
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Any

HOLD_WIDTH = 10
HOLDS = 200_000


def hold_loop() -> float:
    """Holds per CPU-second of a bare heap of tuples: the best of five."""
    gaps = [(i * 7919) % 1000 for i in range(HOLDS)]
    best = float("inf")
    for _ in range(5):
        queue = [(i, i) for i in range(HOLD_WIDTH)]
        heapify(queue)
        began = time.process_time()
        for gap in gaps:
            at, item = heappop(queue)
            heappush(queue, (at + gap, item))
        best = min(best, time.process_time() - began)
    return HOLDS / best


class Speeds:
    """Times functions and remembers what came out, for the summary at the end.

    With `once` everything is timed a single time: enough for whoever wants what is counted.
    """

    def __init__(self, *, once: bool = False) -> None:
        self._once = once
        self.hold = hold_loop()
        self.lines: list[str] = []

    def rounds(self, wanted: int) -> int:
        return 1 if self._once else wanted

    def measure(self, name: str, requests: int, run: Callable[[], Any], rounds: int = 3) -> float:
        """The best of `rounds`, in requests per CPU-second."""
        best = float("inf")
        for _ in range(self.rounds(rounds)):
            gc.collect()
            began = time.process_time()
            run()
            best = min(best, time.process_time() - began)
        per_s = requests / best
        self.note(name, f"{per_s:10,.0f} requests/CPU-s   1/{self.hold / per_s:.0f} of the hold loop")
        return per_s

    def paired(self, one: Callable[[], Any], other: Callable[[], Any], rounds: int = 5) -> float:
        """How many times the CPU time of `one` the `other` takes: the best of each, run in turns."""
        best = [float("inf")] * 2
        for _ in range(self.rounds(rounds)):
            for which, run in enumerate((one, other)):
                gc.collect()
                began = time.process_time()
                run()
                best[which] = min(best[which], time.process_time() - began)
        return best[1] / best[0]

    def note(self, name: str, text: str) -> None:
        self.lines.append(f"{name:<52} {text}")
