"""The processor of the application: one, as its event loop has, and perhaps a slow one.

What it has to do waits its turn: two requests at once take twice as long.
"""

from typing import Protocol

from sim.time.units import PS_PER_MS


def slowdown_of(cpu_mhz: float, reference_mhz: float) -> float:
    """Of one event loop, which has no use for more than a core."""
    return max(1.0, reference_mhz / cpu_mhz)


class AppCpu(Protocol):
    measures: bool
    """Whether it wants to be told what the code really took."""
    worked_ps: int
    """Altogether."""

    def begins_ps(self, arrived_ps: int) -> int:
        """When the code sees a message that arrived then."""
        ...

    def leaves_ps(self, now_ps: int) -> int:
        """When something leaves that the code sends now."""
        ...

    def took(self, now_ps: int, real_ns: int) -> None: ...


class StatedCpu:
    """So long for each request that it reads, and for each answer: the same in every run."""

    measures = False

    def __init__(self, ms_per_message: float) -> None:
        self._message_ps = round(ms_per_message * PS_PER_MS)
        self._free_ps = 0
        self.worked_ps = 0

    def begins_ps(self, arrived_ps: int) -> int:
        self._free_ps = max(self._free_ps, arrived_ps) + self._message_ps
        self.worked_ps += self._message_ps
        return self._free_ps

    def leaves_ps(self, now_ps: int) -> int:
        return now_ps

    def took(self, now_ps: int, real_ns: int) -> None:
        del now_ps, real_ns


class MeasuredCpu:
    """What the code really took on this machine, times `slowdown`: other numbers in every run."""

    measures = True

    def __init__(self, slowdown: float) -> None:
        self._slowdown = slowdown
        self._free_ps = 0
        self.worked_ps = 0

    def begins_ps(self, arrived_ps: int) -> int:
        return max(self._free_ps, arrived_ps)

    def leaves_ps(self, now_ps: int) -> int:
        return max(self._free_ps, now_ps)

    def took(self, now_ps: int, real_ns: int) -> None:
        spent_ps = round(real_ns * 1000 * self._slowdown)
        self._free_ps = max(self._free_ps, now_ps) + spent_ps
        self.worked_ps += spent_ps


class NoCpu:
    """Of machines whose work is no part of what is measured: users' devices, and the platform's front."""

    measures = False
    worked_ps = 0

    def begins_ps(self, arrived_ps: int) -> int:
        return arrived_ps

    def leaves_ps(self, now_ps: int) -> int:
        return now_ps

    def took(self, now_ps: int, real_ns: int) -> None:
        del now_ps, real_ns
