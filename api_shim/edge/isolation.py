"""Applications of others: bubblewrap around them, as around sandboxes, but with the network.

They see the system's programs, their interpreter, their own folders, which they cannot change, and a folder
for temporary files. The kernel is shared, and so is what listens on this machine.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from api_shim.edge.plan import MIB, EdgePlan
from api_shim.sandboxes.backend import NoIsolationError
from api_shim.sandboxes.bubblewrap import (
    DEBIAN_LINKS,
    INSTALL,
    NETWORK_FILES,
    TEMPORARY,
    as_user,
    memory_file,
    readable_by_all,
    some_uid,
)
from api_shim.sandboxes.seccomp import seccomp_filter

RUNTIME = Path("/runtime")
PACKAGES = ("uvicorn", "click", "h11")
"""What serves an application, in Python alone: the server's, where an artifact does not bring its own."""
TEMPORARY_MB = 64
PROCESSES = 256
OPEN_FILES = 1024


@dataclass(frozen=True, slots=True)
class Opened:
    """A command, and the descriptors that it needs."""

    command: list[str]
    fds: tuple[int, ...] = ()


def check_isolation(plan: EdgePlan) -> None:
    """Raises NoIsolationError where it cannot be had, and says what would help."""
    for program in ("bwrap", "prlimit", "setpriv"):
        if shutil.which(program) is None:
            raise NoIsolationError(f"`{program}`, which isolates it, is not installed: {INSTALL}")
    hidden = [path for path in _prefixes(plan) if os.geteuid() == 0 and not readable_by_all(path)]
    if hidden:
        raise NoIsolationError(
            f"it runs as a user of its own, who may not read {hidden[0]}: name an interpreter that all can "
            "read with --app-python"
        )


@contextmanager
def isolated(plan: EdgePlan, socket: Path) -> Iterator[Opened]:
    """The command of an application in bubblewrap. Raises NoIsolationError."""
    uid = some_uid()
    os.chown(socket.parent, uid, -1)
    with memory_file(seccomp_filter()) as bpf:
        yield Opened([*as_user(uid), "bwrap", *_arguments(plan, socket, bpf), *plan.command(socket)], (bpf,))


def _arguments(plan: EdgePlan, socket: Path, bpf: int) -> Iterator[str]:
    yield from ("--unshare-all", "--share-net", "--unshare-user", "--disable-userns")
    yield from ("--die-with-parent", "--new-session", "--uid", "1000", "--gid", "1000", "--hostname", "app")
    yield from ("--ro-bind", "/usr", "/usr")
    for link in DEBIAN_LINKS:
        if Path(link).is_symlink():
            yield from ("--symlink", f"usr{link}", link)
    yield from ("--ro-bind-try", "/etc/alternatives", "/etc/alternatives", "--proc", "/proc")
    for path in NETWORK_FILES:
        yield from ("--ro-bind-try", path, path)
    # bubblewrap's own root and /dev are in memory, without a size: hence read-only in the end.
    yield from ("--dev", "/dev", "--remount-ro", "/dev")
    yield from ("--size", str(TEMPORARY_MB * MIB), "--tmpfs", TEMPORARY, "--setenv", "HOME", TEMPORARY)
    for folder in (*_prefixes(plan), plan.folder, *plan.libraries):
        yield from ("--ro-bind", str(folder), str(folder))
    for name, folder in _runtime():
        yield from ("--ro-bind", str(folder), str(RUNTIME / name))
    path = os.pathsep.join(map(str, (*plan.libraries, RUNTIME)))
    yield from ("--setenv", "PYTHONPATH", path)
    yield from ("--bind", str(socket.parent), str(socket.parent), "--chdir", str(plan.folder))
    yield from ("--remount-ro", "/", "--seccomp", str(bpf), "--")
    yield from ("/usr/bin/prlimit", f"--nproc={PROCESSES}", f"--nofile={OPEN_FILES}", "--core=0", "--")


def _prefixes(plan: EdgePlan) -> list[Path]:
    """Where its interpreter is at home, unless everybody has that anyway."""
    python = Path(plan.interpreter())
    homes = {python.parent.parent, python.resolve().parent.parent}
    return sorted(home for home in homes if not home.is_relative_to("/usr"))


def _runtime() -> Iterator[tuple[str, Path]]:
    for name in PACKAGES:
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            yield name, Path(spec.origin).parent
