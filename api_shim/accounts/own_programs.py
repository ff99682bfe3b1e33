"""Whose program is at the other end of a connection on this machine: of whoever runs the server, or another.

An address tells too little: applications that others have deployed share the machine's network, and where the
server is not root its user, too. The kernel tells whose socket it is, and in which namespace it is held.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import NamedTuple

ROOT = 0
TABLES = ("net/tcp", "net/tcp6")
PROC = Path("/proc")
End = tuple[str, int]
"""(address, port)."""


class _Socket(NamedTuple):
    uid: int
    inode: int
    """0 where nobody holds it any more."""


def is_own_program(client: End, server: End) -> bool:
    """Whether `client` is of our user, in our namespace, or of root; false where that cannot be told."""
    ends = (_normal(client), _normal(server))
    found = [socket for table in TABLES for local, far, socket in _rows(PROC / table) if (local, far) == ends]
    return bool(found) and all(_is_ours(socket) for socket in found)


def _is_ours(socket: _Socket) -> bool:
    if not socket.inode:
        return False
    if socket.uid == os.geteuid():
        return _is_held_beside_us(f"socket:[{socket.inode}]")
    return socket.uid == ROOT


def _is_held_beside_us(name: str) -> bool:
    """By a process of our user namespace: what is isolated has another one."""
    ours = (PROC / "self/ns/user").readlink()
    for process in PROC.iterdir():
        if process.name.isdecimal():
            with suppress(OSError):  # it has ended, or is another user's
                if (process / "ns/user").readlink() == ours and name in _open_in(process):
                    return True
    return False


def _open_in(process: Path) -> Iterator[str]:
    for descriptor in (process / "fd").iterdir():
        with suppress(OSError):  # it was closed meanwhile
            yield str(descriptor.readlink())


def _rows(table: Path) -> Iterator[tuple[End, End, _Socket]]:
    """Of proc(5)'s table of TCP sockets: (its own end, the other end, whose it is)."""
    with suppress(OSError):
        for line in table.read_text(encoding="ascii").splitlines()[1:]:
            words = line.split()
            yield _end(words[1]), _end(words[2]), _Socket(int(words[7]), int(words[9]))


def _end(text: str) -> End:
    """`0100007F:1F90`: words of 32 bits in the machine's order, and the port."""
    address, _, port = text.partition(":")
    words = [bytes.fromhex(address[at : at + 8]) for at in range(0, len(address), 8)]
    packed = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
    return _normal((str(ip_address(packed)), int(port, 16)))


def _normal(end: End) -> End:
    """An address of IPv4 has one form, whatever sockets it is asked over."""
    address = ip_address(end[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address), end[1]
