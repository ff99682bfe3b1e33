"""Isolation by bubblewrap: namespaces of its own, an empty file system, the filter of system calls, limits.

It shares the kernel with its host: it holds what goes astray and what tries the usual ways out, not an
attack on the kernel itself.
"""

import asyncio
import os
import shutil
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.resources import files
from pathlib import Path
from secrets import randbelow

from api_shim.sandboxes.backend import Launched, NoIsolationError, SandboxRefusedError, Wish
from api_shim.sandboxes.limits import MIB, SandboxLimits
from api_shim.sandboxes.seccomp import seccomp_filter

PYTHONS = ("/usr/bin/python3", "/usr/local/bin/python3")
"""For all users: one under somebody's home directory is out of reach for others."""
PYTHON = next((path for path in PYTHONS if Path(path).exists()), PYTHONS[0])
HOME = "/home/user"
TEMPORARY = "/tmp"  # noqa: S108 -- of the sandbox, as all paths here
SHARED_MEMORY = "/dev/shm"  # noqa: S108
INSIDE = "/inside.py"
WHEELHOUSE = "/wheelhouse"
LOADER_SPACE_MB = 64 * 1024
"""Address space of a process, most of which JavaScript engines only reserve."""
FIRST_UID, UIDS = 1_000_000_000, 500_000_000
"""Beyond everybody's users and subordinate ranges."""
PROBE_S = 10.0
NETWORK_FILES = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/ssl", "/etc/ca-certificates")
DEBIAN_LINKS = ("/bin", "/sbin", "/lib", "/lib64")
INSTALL = "install bubblewrap and libseccomp2 (`apt-get install -y bubblewrap libseccomp2`)"
APPARMOR = (
    "user namespaces are not allowed here. On Ubuntu 24.04 or later give bwrap an AppArmor profile: "
    "write "
    "`abi <abi/4.0>, include <tunables/global> profile bwrap /usr/bin/bwrap flags=(unconfined) "
    "{ userns, }` to "
    "/etc/apparmor.d/bwrap and run `systemctl reload apparmor`. Elsewhere raise "
    "/proc/sys/user/max_user_namespaces, or set /proc/sys/kernel/unprivileged_userns_clone to 1; in a "
    "container allow `unshare` in its filter of system calls. Or isolate with Docker: `--sandboxes docker`"
)


class Bubblewrap:
    name = "bubblewrap"

    def __init__(self, *, bwrap: str = "bwrap", python: str = PYTHON, wheelhouse: Path | None = None) -> None:
        self._bwrap = bwrap
        self._python = python
        self._wheelhouse = wheelhouse
        self._uids: set[int] = set()

    async def probe(self) -> None:
        for program in (self._bwrap, "prlimit", "setpriv", self._python):
            if shutil.which(program) is None:
                fix = "name an interpreter" if program == self._python else f"{INSTALL}, and util-linux"
                if sys.platform != "linux":
                    fix = "bubblewrap is Linux's; serve with `--sandboxes docker`"
                raise NoIsolationError(f"sandboxes need `{program}`, which is not installed: {fix}")
        try:
            seccomp_filter()
        except (ImportError, OSError) as error:
            raise NoIsolationError(
                f"the filter of system calls cannot be made ({error}): {INSTALL}"
            ) from None
        wish = Wish("probe", SandboxLimits())
        launched = await self.launch(wish)
        try:
            async with asyncio.timeout(PROBE_S):
                await launched.reader.readexactly(1)
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            raise NoIsolationError(await self._why_not(launched)) from None
        finally:
            await end(launched)

    async def _why_not(self, launched: Launched) -> str:
        if launched.process.returncode is None:
            launched.process.kill()
        assert launched.process.stderr is not None
        said = (await launched.process.stderr.read(2000)).decode(errors="replace").strip()
        lower = said.lower()
        if "find source path" in lower or "execvp" in lower:
            fix = f"user {FIRST_UID} and above must be able to read it; name an interpreter that all can read"
        elif "namespace" in lower or "uid map" in lower or "rtm_newaddr" in lower or "setting up" in lower:
            fix = APPARMOR
        else:
            fix = "run it by hand, as `bwrap --unshare-all --ro-bind / / true`, to see what it misses"
        return f"sandboxes cannot be isolated on this machine: {said or 'bwrap did not start in time'}; {fix}"

    async def launch(self, wish: Wish) -> Launched:
        if wish.image is not None:
            raise SandboxRefusedError(
                f"there is no image {wish.image[:200]!r}: bubblewrap has none but the machine's own system; "
                "serve with `--sandboxes docker` for images"
            )
        uid = self._take_uid()
        ours, theirs = (
            socket.socketpair()
        )  # not pipes, which whoever is inside could open again through /proc
        try:
            with ExitStack() as opened:
                opened.callback(theirs.close)
                source = opened.enter_context(
                    memory_file(files(__package__).joinpath("inside.py").read_bytes())
                )
                bpf = opened.enter_context(memory_file(seccomp_filter()))
                given = opened.enter_context(memory_file(_options(wish.environment)))
                command = [*as_user(uid), self._bwrap, *self._arguments(wish, source, bpf, given)]
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=asyncio.subprocess.PIPE,
                    env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"},
                    cwd="/",
                    pass_fds=(source, bpf, given),
                    limit=4096,
                )
            reader, writer = await asyncio.open_connection(sock=ours)
        except BaseException:
            ours.close()
            self._uids.discard(uid)
            raise

        async def forget() -> None:
            self._uids.discard(uid)

        return Launched(process, reader, writer, forget, watched=True)

    def _take_uid(self) -> int:
        """One for each sandbox, as limits and signals are a user's. Who is not root has but one."""
        while (uid := some_uid()) in self._uids and os.geteuid() == 0:
            pass
        self._uids.add(uid)
        return uid

    def _arguments(self, wish: Wish, source: int, bpf: int, given: int) -> Iterator[str]:
        limits = wish.limits
        yield from (
            "--unshare-all",
            "--unshare-user",
            "--disable-userns",
            "--die-with-parent",
            "--new-session",
        )
        if wish.network:
            yield "--share-net"
        yield from ("--uid", "1000", "--gid", "1000", "--hostname", "sandbox", "--clearenv")
        for name, value in _environment():
            yield from ("--setenv", name, value)
        yield from ("--args", str(given), "--ro-bind", "/usr", "/usr")
        for link in DEBIAN_LINKS:
            if Path(link).is_symlink():
                yield from ("--symlink", f"usr{link}", link)
        yield from ("--ro-bind-try", "/etc/alternatives", "/etc/alternatives", "--proc", "/proc")
        if self._wheelhouse is not None:
            yield from ("--ro-bind", str(self._wheelhouse), WHEELHOUSE)
        if wish.network:
            for path in NETWORK_FILES:
                yield from ("--ro-bind-try", path, path)
        # bubblewrap's own root and /dev are in memory, without a size: hence read-only in the end.
        yield from ("--dev", "/dev", "--size", str(limits.shared_memory_mb * MIB), "--tmpfs", SHARED_MEMORY)
        yield from ("--remount-ro", "/dev")
        yield from ("--size", str(limits.disk_mb * MIB), "--tmpfs", HOME)
        yield from ("--size", str(limits.temporary_mb * MIB), "--tmpfs", TEMPORARY, "--chdir", HOME)
        yield from ("--ro-bind-data", str(source), INSIDE, "--remount-ro", "/")
        yield from ("--seccomp", str(bpf), "--", "/usr/bin/prlimit")
        yield f"--nproc={limits.processes}"
        # What a process may write to of its own. The watchdog bounds all of them together.
        yield f"--data={limits.memory_bytes}"
        yield f"--as={LOADER_SPACE_MB * MIB}"
        yield f"--nofile={limits.descriptors}"
        yield from ("--core=0", "--", self._python, "-I", INSIDE)


async def end(launched: Launched) -> None:
    """Kill it and whatever runs in it. May be called again."""
    if launched.process.returncode is None:
        launched.process.kill()
    await launched.process.wait()
    launched.writer.close()
    await launched.forget()


def readable_by_all(directory: Path) -> bool:
    """A sandbox has a user of its own, for whom a home directory of mode 0700 is shut."""
    paths = [directory, *directory.parents]
    return all(path.stat().st_mode & stat.S_IXOTH for path in paths) and bool(
        directory.stat().st_mode & stat.S_IROTH
    )


def _environment() -> Iterator[tuple[str, str]]:
    yield "PATH", f"{HOME}/.deps/bin:/usr/local/bin:/usr/bin:/bin"
    yield "HOME", HOME
    yield "USER", "user"
    yield "LANG", "C.UTF-8"
    yield "TERM", "xterm-256color"
    yield "PS1", "sandbox:\\w$ "
    yield "PYTHONPATH", f"{HOME}/.deps"


def _options(environment: tuple[tuple[str, str], ...]) -> bytes:
    """For `--args`, in a file: everybody on a machine can read commands."""
    words = [word for name, value in environment for word in ("--setenv", name, value)]
    assert not any("\0" in word for word in words), "it would end there, and the rest be options"
    return b"".join(word.encode() + b"\0" for word in words)


def some_uid() -> int:
    """Of nobody else; who is not root has but its own. Raises NoIsolationError."""
    if os.geteuid() != 0:
        return os.geteuid()
    first, count = mapped_uids(Path("/proc/self/uid_map").read_text())
    return first + randbelow(count)


def as_user(uid: int) -> list[str]:
    """By a program of its own: Python would have to copy this process's tables to do it itself, for 10 ms."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--bounding-set=-all", "--"]


def mapped_uids(uid_map: str) -> tuple[int, int]:
    """(first, how many) that may be given to sandboxes; root of a container has but some.

    Raises NoIsolationError.
    """
    ranges = [(int(first), int(count)) for first, _, count in (line.split() for line in uid_map.splitlines())]
    if any(first <= FIRST_UID <= first + count - UIDS for first, count in ranges):
        return FIRST_UID, UIDS
    first, count = max(ranges, key=lambda each: each[1])
    if count < 10_000:
        raise NoIsolationError(
            "sandboxes need users of their own, and this container has none to spare: run the server as an "
            "ordinary user, or map more users (`--uidmap`)"
        )
    return first + count // 2, count // 2


@contextmanager
def memory_file(content: bytes) -> Iterator[int]:
    """Its descriptor, from which a process that cannot read our files can read."""
    fd = os.memfd_create("sandbox")
    try:
        os.write(fd, content)
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)
