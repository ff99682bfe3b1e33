"""Applications of others: bubblewrap around them, as around sandboxes, but with the network.

They see the system's programs, their interpreter, their own folders, which they cannot change, and a folder
for temporary files. The kernel is shared, and so is what listens on this machine. Their variables are theirs
alone: `LD_PRELOAD` among them would run their code in every program that starts them.
"""

import json
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
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


LAUNCH = """
import json, os, sys
with open(int(sys.argv[1])) as given:
    variables = json.load(given)
try:
    os.execve(sys.argv[2], sys.argv[2:], variables)
except ValueError as error:
    sys.exit(f"it cannot be given its variables: {error}")
"""
"""Inside, when its limits hold. Its variables come in a file, as everybody on a machine can read commands."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A command, and what it needs beside it."""

    command: list[str]
    environment: Mapping[str, str]
    """Of all the programs that start the application."""
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
def isolated(plan: EdgePlan, address: Path) -> Iterator[Opened]:
    """The command of an application in bubblewrap, which answers at `address`. Raises NoIsolationError.

    It is given a socket that listens, and no way to the folder of its address: a link that it put in the
    place of the socket would lead the server to sockets that only the server may use.
    """
    variables = json.dumps(_variables(plan)).encode()
    with ExitStack() as opened:
        listening = opened.enter_context(socket.socket(socket.AF_UNIX))
        listening.bind(str(address))
        listening.listen()
        bpf = opened.enter_context(memory_file(seccomp_filter()))
        given = opened.enter_context(memory_file(variables))
        launch = (plan.interpreter(), "-I", "-S", "-c", LAUNCH, str(given))
        uid = some_uid()
        os.chown(plan.folder.parent, uid, -1)  # which nobody else on the machine may look into
        command = [*as_user(uid), "bwrap", *_arguments(plan, bpf), *launch]
        command += plan.command("--fd", str(listening.fileno()))
        yield Opened(command, {"PATH": os.environ.get("PATH", os.defpath)}, (bpf, given, listening.fileno()))


def _variables(plan: EdgePlan) -> dict[str, str]:
    path = os.pathsep.join(map(str, (*plan.libraries, RUNTIME)))
    return {**plan.variables(), "HOME": TEMPORARY, "PYTHONPATH": path}


def _arguments(plan: EdgePlan, bpf: int) -> Iterator[str]:
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
    yield from ("--size", str(TEMPORARY_MB * MIB), "--tmpfs", TEMPORARY)
    for folder in (*_prefixes(plan), plan.folder, *plan.libraries):
        yield from ("--ro-bind", str(folder), str(folder))
    for name, folder in _runtime():
        yield from ("--ro-bind", str(folder), str(RUNTIME / name))
    yield from ("--chdir", str(plan.folder))
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
