"""What a tree of processes has used and holds, from one look at it to the next."""

from collections.abc import Iterable
from dataclasses import replace

from api_shim.processes.process_tree import ProcessLook, cpu_s, held_bytes, proportional_bytes
from api_shim.processes.standstill import standstill

GROWTH = 1.05
"""Shared pages are worth a second look, which is slow, when there is so much more than at the last."""


class CpuUsed:
    """CPU time since the last look. What has ended counts where it was waited for, less what it had."""

    def __init__(self) -> None:
        self._before: dict[tuple[int, int], ProcessLook] = {}

    def since_last_s(self, processes: Iterable[ProcessLook]) -> float:
        before, self._before = self._before, {process.name: process for process in processes}
        own = reaped = 0.0
        for process in self._before.values():
            last = before.pop(process.name, None)
            own += process.own_cpu_s - (last.own_cpu_s if last else 0.0)
            reaped += process.reaped_cpu_s - (last.reaped_cpu_s if last else 0.0)
        known = sum(gone.own_cpu_s + gone.reaped_cpu_s for gone in before.values())
        return max(0.0, own) + max(0.0, reaped - known)

    def quickly_s(self) -> float:
        """As above, of what the processes of the last look use themselves: it takes microseconds."""
        used = 0.0
        for name, process in self._before.items():
            own_s = cpu_s(process.pid)
            if own_s is not None and own_s > process.own_cpu_s:
                used += own_s - process.own_cpu_s
                self._before[name] = replace(process, own_cpu_s=own_s)
        return used


class HeldMemory:
    """All that the processes hold together, with pages that they share counted once where it matters."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._close_look_bytes = 0.0
        self.held_bytes = 0
        """At the last look."""
        self.peak_bytes = 0

    async def too_much(
        self, processes: list[ProcessLook], stoppable: Iterable[ProcessLook], elsewhere_bytes: int = 0
    ) -> bool:
        """`elsewhere_bytes` are held for them, and by no process."""
        held = held_bytes(processes) + elsewhere_bytes
        excessive = False
        if held > max(self._most_bytes, self._close_look_bytes):
            async with standstill(stoppable):  # or it would grow meanwhile
                held, rough = proportional_bytes(processes) + elsewhere_bytes, held
            excessive = held > self._most_bytes
            if not excessive:
                self._close_look_bytes = rough * GROWTH
        self.held_bytes, self.peak_bytes = held, max(self.peak_bytes, held)
        return excessive
