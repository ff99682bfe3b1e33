"""Ways out, tried one by one: prints a JSON object of what each came to, `denied ...` or what it got.

Runs inside a sandbox, and outside as a control: there only what changes nothing. It imports nothing of ours.
"""

import ctypes
import errno
import json
import os
import resource
import signal
import socket
import sys
import time  # noqa: TID251 -- waits for real processes
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

CONFIG = json.loads(os.environ["ATTEMPTS"])
LIBC = ctypes.CDLL(None, use_errno=True)
CALLS = {
    "x86_64": {
        "io_uring_setup": 425,
        "userfaultfd": 323,
        "keyctl": 250,
        "bpf": 321,
        "perf_event_open": 298,
        "clone3": 435,
        "process_vm_readv": 310,
        "socket": 41,
        "pidfd_getfd": 438,
        "memfd_secret": 447,
    },
    "aarch64": {
        "io_uring_setup": 425,
        "userfaultfd": 282,
        "keyctl": 219,
        "bpf": 280,
        "perf_event_open": 241,
        "clone3": 435,
        "process_vm_readv": 270,
        "socket": 198,
        "pidfd_getfd": 438,
        "memfd_secret": 447,
    },
}[os.uname().machine]
AF_VSOCK, AF_NETLINK, AF_PACKET, AF_ALG = 40, 16, 17, 38
NEW_USER = 0x10000000
PTRACE_ATTACH, PTRACE_DETACH = 16, 17
TIOCSTI = 0x5412
got: dict[str, str] = {}


def attempt(name: str, act: Callable[[], object]) -> None:
    try:
        got[name] = str(act() or "GOT IT")
    except BaseException as error:  # noqa: BLE001 -- whatever it is, the answer is no
        number = getattr(error, "errno", None)
        got[name] = "denied " + (errno.errorcode.get(number, "") if number else type(error).__name__)


def call(name: str, *arguments: Any) -> None:
    if LIBC.syscall(CALLS[name], *(ctypes.c_ulong(a) if isinstance(a, int) else a for a in arguments)) < 0:
        raise OSError(ctypes.get_errno(), name)


def checked(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), "")


def in_child(act: Callable[[], object]) -> str:
    """In a fork, so that being killed for it is an answer too."""
    pid = os.fork()
    if pid == 0:
        try:
            act()
            os._exit(0)
        except OSError as error:
            os._exit((error.errno or 1) & 0xFF)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status < 0:
        return "denied " + signal.Signals(-status).name
    if status:
        raise OSError(status, "")
    return "GOT IT"


def read(path: str) -> None:
    with Path(path).open("rb") as file:
        file.read(1)


def write(path: str) -> None:
    Path(path).write_text("x")


def connect(family: int, address: Any, kind: int = socket.SOCK_STREAM) -> None:
    with socket.socket(family, kind) as made:
        made.settimeout(1)
        made.connect(address)
        if kind == socket.SOCK_DGRAM:
            made.send(b"x")
            time.sleep(0.05)
            made.send(b"x")  # tells that nobody took the first


def trace(pid: int) -> None:
    checked(LIBC.ptrace(PTRACE_ATTACH, pid, 0, 0))
    os.waitpid(pid, 0x40000000)
    LIBC.ptrace(PTRACE_DETACH, pid, 0, 0)


def read_memory_of(pid: int) -> None:
    local = ctypes.create_string_buffer(1)
    here = (ctypes.c_void_p * 2)(ctypes.addressof(local), 1)
    call("process_vm_readv", pid, here, 1, here, 1, 0)


def fill(directory: str) -> str:
    """Files of 16 MiB, until something stops it."""
    written, paths = 0, [Path(f"{directory}/fill{number}") for number in range(24)]
    try:
        for path in paths:
            with path.open("wb", buffering=0) as file:
                for _ in range(16):
                    file.write(bytes(1 << 20))
                    written += 1
    except OSError as error:
        return f"denied {errno.errorcode[error.errno or 0]} after {written} MiB"
    else:
        return f"{written} MiB"
    finally:
        for path in paths:
            if path.exists():
                path.unlink()


def forks() -> str:
    pids: list[int] = []
    try:
        while len(pids) < 200:
            pid = os.fork()
            if pid == 0:
                time.sleep(30)
                os._exit(0)
            pids.append(pid)
        return f"{len(pids)} forks"
    except OSError as error:
        return f"denied {errno.errorcode[error.errno or 0]} after {len(pids)} forks"
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def memory() -> str:
    kept: list[bytearray] = []
    try:
        while len(kept) < 64:
            kept.append(bytearray(16 << 20))
    except MemoryError:
        return f"denied MemoryError after {16 * len(kept)} MiB"
    return "1024 MiB"


def foreign_descriptors() -> str:
    found = [path for path in Path("/proc/self/fd").iterdir() if int(path.name) > 2]
    mine = [path.name for path in found if path.exists()]  # without that of the listing
    return str(mine) if mine else "denied: none"


attempt("a secret of the host", lambda: read(CONFIG["secret"]))
attempt("TCP to the host", lambda: connect(socket.AF_INET, ("127.0.0.1", CONFIG["tcp"])))
attempt("UDP to the host", lambda: connect(socket.AF_INET, ("127.0.0.1", CONFIG["udp"]), socket.SOCK_DGRAM))
attempt("an abstract socket of the host", lambda: connect(socket.AF_UNIX, "\0" + CONFIG["abstract"]))
attempt("a socket file of the host", lambda: connect(socket.AF_UNIX, CONFIG["socket"]))
attempt("a signal to a process of the host", lambda: os.kill(CONFIG["pid"], 0))
attempt("the environment of a process of the host", lambda: read(f"/proc/{CONFIG['pid']}/environ"))
attempt("tracing a process of the host", lambda: trace(CONFIG["pid"]))
attempt("the host's environment", lambda: os.environ["HOST_SECRET"])
attempt("the host's descriptors", foreign_descriptors)
attempt("a user namespace", lambda: in_child(lambda: checked(LIBC.unshare(NEW_USER))))
attempt("a user namespace by clone3", lambda: in_child(lambda: call("clone3", 0, 0)))
attempt("memfd_create", lambda: os.close(os.memfd_create("m")))
attempt("memfd_secret", lambda: call("memfd_secret", 0))
attempt("io_uring", lambda: call("io_uring_setup", 1, ctypes.create_string_buffer(256)))
attempt("userfaultfd", lambda: call("userfaultfd", 1))
attempt("keyctl", lambda: call("keyctl", 0, -3 & 0xFFFFFFFF, 0))
attempt("bpf", lambda: call("bpf", 0, 0, 0))
attempt("perf_event_open", lambda: call("perf_event_open", 0, 0, -1 & (2**64 - 1), -1 & (2**64 - 1), 0))
attempt("pidfd_getfd", lambda: call("pidfd_getfd", 0, 0, 0))
attempt("process_vm_readv", lambda: read_memory_of(os.getpid()))
attempt("AF_VSOCK", lambda: socket.socket(AF_VSOCK, socket.SOCK_STREAM).close())
attempt("AF_NETLINK", lambda: socket.socket(AF_NETLINK, socket.SOCK_RAW).close())
attempt("AF_ALG", lambda: socket.socket(AF_ALG, socket.SOCK_SEQPACKET).close())
attempt(
    "AF_NETLINK with the upper half set", lambda: call("socket", (1 << 32) | AF_NETLINK, socket.SOCK_RAW, 0)
)
if os.uname().machine == "x86_64":
    attempt("a call of another ABI", lambda: in_child(lambda: checked(LIBC.syscall(0x40000000 | 39))))

if CONFIG["sandboxed"]:  # these write, mount, or use things up
    attempt("/etc/shadow", lambda: read("/etc/shadow"))
    attempt("the root through init", lambda: read(f"/proc/1/root{CONFIG['secret']}"))
    attempt("typing into a terminal", lambda: checked(LIBC.ioctl(0, TIOCSTI, b"x")))
    attempt("writing beside the secret", lambda: write(f"{Path(CONFIG['secret']).parent}/pwned"))
    attempt("writing to /usr", lambda: write("/usr/pwned"))
    attempt("writing to /", lambda: write("/pwned"))
    attempt("writing to /dev", lambda: write("/dev/pwned"))
    attempt("writing to /proc/sys", lambda: write("/proc/sys/kernel/hostname"))
    attempt("a block device", lambda: os.mknod("/tmp/disk", 0o60600, os.makedev(8, 0)))
    attempt("mount", lambda: checked(LIBC.mount(b"none", b"/tmp", b"tmpfs", 0, None)))
    attempt("umount", lambda: checked(LIBC.umount2(b"/home/user", 2)))
    attempt("chroot", lambda: os.chroot("/tmp"))
    attempt("becoming root", lambda: os.setuid(0))
    attempt("a higher limit", lambda: resource.setrlimit(resource.RLIMIT_NPROC, (10**6, 10**6)))
    for directory in ("/", "/dev", "/dev/shm", "/tmp", "/home/user"):
        attempt(f"filling {directory}", partial(fill, directory))
    attempt("forks", forks)
    attempt("memory of one process", memory)
sys.stdout.write(json.dumps(got))
