"""What a sandbox may use up. Each number has a bound, and something that enforces it."""

from dataclasses import dataclass

MIB = 2**20
LONGEST_S = 24 * 3600
MOST_SANDBOXES = 200
"""At once, on one server."""
SERVER_DESCRIPTORS = 256
"""Of the server inside: three for each of 64 programs, three more for one that starts, and its own."""


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    memory_mb: int = 512
    """Resident in all its processes together; files come on top (`disk_mb`)."""
    milli_cpus: int = 1000
    """Thousandths of one of this machine's cores."""
    processes: int = 64
    """Threads included."""
    open_files: int = 128
    """For each process."""
    disk_mb: int = 256
    """Of the home directory, which is in memory; `/tmp` has `temporary_mb`."""
    temporary_mb: int = 64
    shared_memory_mb: int = 8
    files: int = 50_000
    """An empty file takes a kilobyte of the kernel's memory, whatever its directory may hold."""
    idle_s: float = 600.0
    """Without a program running, a terminal open or a file on its way."""
    lifetime_s: float = 3600.0

    @property
    def descriptors(self) -> str:
        """Soft and hard: the server inside takes the hard one, and its programs the soft one as both."""
        return f"{self.open_files}:{self.open_files + SERVER_DESCRIPTORS}"

    @property
    def memory_bytes(self) -> int:
        return self.memory_mb * MIB

    @property
    def share(self) -> float:
        return self.milli_cpus / 1000
