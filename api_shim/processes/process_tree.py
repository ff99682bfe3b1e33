"""A tree of processes as the kernel's `/proc` shows them: what they hold, and what they have used."""

import os
import signal
import time  # noqa: TID251 -- CPU time of other processes, no clock
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
STOPPED, ZOMBIE = "T", "Z"


@dataclass(frozen=True, slots=True)
class ProcessLook:
    pid: int
    started: int
    """With the pid it makes a name that is never given twice."""
    parent: int
    state: str
    resident_bytes: int
    """Pages that processes share count in each."""
    page_table_bytes: int
    """The kernel's, which grow with what is looked at, not with what is held."""
    own_cpu_s: float
    reaped_cpu_s: float
    """Of children that it has waited for, and of theirs."""

    @property
    def name(self) -> tuple[int, int]:
        return self.pid, self.started

    def stands_still(self) -> bool:
        """At this moment; or it has ended."""
        fields = _stat(self.pid)
        return fields is None or fields[0] in {STOPPED, ZOMBIE}

    def signal(self, number: signal.Signals) -> None:
        """Only if it is still the same process: pids are given again."""
        with suppress(ProcessLookupError, PermissionError):
            fd = os.pidfd_open(self.pid)
            try:
                fields = _stat(self.pid)
                if fields is not None and int(fields[19]) == self.started:
                    signal.pidfd_send_signal(fd, number)
            finally:
                os.close(fd)


def look(root: int) -> list[ProcessLook]:
    """Everything below `root`, which is left out; parents before their children."""
    found: list[ProcessLook] = []
    to_do = list(_children(root))
    while to_do:
        pid = to_do.pop()
        process = _look_at(pid)
        if process is not None:
            found.append(process)
            to_do += _children(pid)
    return found


def held_bytes(processes: Iterable[ProcessLook]) -> int:
    return sum(process.resident_bytes + process.page_table_bytes for process in processes)


def proportional_bytes(processes: Iterable[ProcessLook]) -> int:
    """As `held_bytes`, with shared pages counted once. Takes a millisecond for each that holds much."""
    total = 0
    for process in processes:
        total += process.page_table_bytes
        with suppress(OSError), open(f"/proc/{process.pid}/smaps_rollup") as file:  # noqa: PTH123 -- pathlib is slow
            for line in file:
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
                    break
    return total


def cpu_s(pid: int) -> float | None:
    """Of all its threads, as clock_getcpuclockid(3) has it. None where it has ended, or may not be read."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return None


def _children(pid: int) -> Iterator[int]:
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
            with open(f"/proc/{pid}/task/{task}/children") as file:  # noqa: PTH123
                yield from map(int, file.read().split())


def _look_at(pid: int) -> ProcessLook | None:
    fields = _stat(pid)
    if fields is None:
        return None
    kib = {"VmRSS": 0, "VmPTE": 0}
    with suppress(OSError), open(f"/proc/{pid}/status") as file:  # noqa: PTH123
        for line in file:
            name, _, value = line.partition(":")
            if name in kib:
                kib[name] = int(value.split()[0])
    own_s = cpu_s(pid)
    if own_s is None:
        own_s = (int(fields[11]) + int(fields[12])) * TICK_S
    reaped_s = (int(fields[13]) + int(fields[14])) * TICK_S
    return ProcessLook(
        pid,
        int(fields[19]),
        int(fields[1]),
        fields[0],
        kib["VmRSS"] * 1024,
        kib["VmPTE"] * 1024,
        own_s,
        reaped_s,
    )


def _stat(pid: int) -> list[str] | None:
    """From the state on, which is the third field of proc(5)."""
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None
