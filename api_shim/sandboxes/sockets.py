"""What the sockets of a sandbox hold in the kernel's own buffers, which belong to no process.

All of them are in the sandbox's own network namespace, so its tables list them.
"""

from collections.abc import Iterator
from contextlib import suppress
from functools import cache

QUEUED = ("tcp", "tcp6", "udp", "udp6")
"""Tables that say how much waits; that of local sockets does not."""


def socket_bytes(pid: int) -> int:
    """Of the namespace that `pid` is in: of local sockets what they can hold, of others what they do."""
    held = sum(1 for _ in _rows(pid, "unix")) * _most_of_a_local_socket()
    for table in QUEUED:
        for row in _rows(pid, table):
            sent, _, received = row.split()[4].partition(":")
            held += int(sent, 16) + int(received, 16)
    return held


def _rows(pid: int, table: str) -> Iterator[str]:
    with suppress(OSError), open(f"/proc/{pid}/net/{table}") as file:  # noqa: PTH123 -- pathlib is slow
        next(file, None)  # the names of the columns
        yield from file


@cache
def _most_of_a_local_socket() -> int:
    """Whoever sends may ask for as much, and Linux gives twice of it (socket(7), SO_SNDBUF)."""
    with open("/proc/sys/net/core/wmem_max") as file:  # noqa: PTH123
        return 2 * int(file.read())
