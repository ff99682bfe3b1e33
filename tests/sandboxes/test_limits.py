"""What a sandbox may use up, and that nothing of it is left behind."""

import os
import signal
import subprocess
import sys
import time  # noqa: TID251 -- sandboxes are in real time
from pathlib import Path

import pytest

from api_shim.sandboxes.backend import SandboxRefusedError
from api_shim.sandboxes.sandbox import Program, SandboxEndedError
from tests.sandboxes.conftest import Boxes, processes_named

HOG = """
import os, time
for _ in range(6):
    if os.fork() == 0:
        kept = []
        while True:
            kept.append(bytearray(os.urandom(4096) * 512))
time.sleep(30)
"""
SPARSE = """
import ctypes, time
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
size = 60 << 30
start = libc.mmap(None, ctypes.c_size_t(size), 1, 0x4022, -1, 0)
step = 2 << 20
for at in range(start, start + size, step):
    ctypes.string_at(at, 1)
import os
for _ in range(3):
    os.fork()
for at in range(start, start + size, step):
    ctypes.string_at(at, 1)
time.sleep(30)
"""
"""Reads one byte of every 2 MiB: no memory of its own, 120 MiB of the kernel's for each process."""
FULL_SOCKETS = """
import os, socket, time
for _ in range(20):
    if os.fork() == 0:
        pairs = [socket.socketpair() for _ in range(50)]
        for one, _ in pairs:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            one.setblocking(False)
            try:
                while True: one.send(bytes(1 << 16))
            except BlockingIOError:
                pass
        time.sleep(30)
time.sleep(30)
"""
MANY_FILES = """
import os
for number in range(10**6):
    os.close(os.open(f"/tmp/{number}", os.O_CREAT | os.O_WRONLY))
"""
DAEMON = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv("/usr/bin/python3", ["python3", "-c", "import time; time.sleep(600)", "MARK"])
    os._exit(0)
time.sleep(0.3)
"""


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (HOG, "out of memory"),
        (SPARSE, "out of memory"),
        (FULL_SOCKETS, "out of memory"),
        (MANY_FILES, "too many files"),
    ],
    ids=["processes", "page tables", "sockets", "empty files"],
)
def test_what_no_limit_of_a_process_sees_ends_the_sandbox(boxes: Boxes, code: str, why: str) -> None:
    box = boxes(memory_mb=256)
    with pytest.raises(SandboxEndedError, match=why):
        box.python(code, timeout_s=50)
    assert box.until_over().startswith(why)
    if box.sandbox.watchdog is not None and code is HOG:
        assert box.sandbox.watchdog.memory.peak_bytes < 2 * 256 * 2**20
    with pytest.raises(SandboxEndedError, match=why):
        box.python("pass")


def test_many_processes_that_share_their_memory_are_not_taken_for_a_hog(boxes: Boxes) -> None:
    box = boxes(memory_mb=128)
    code = """
import os, time
kept = bytearray(os.urandom(1 << 20) * 16)
pids = []
for _ in range(20):
    pid = os.fork()
    if pid == 0:
        time.sleep(0.5)
        os._exit(kept[0] == 256)
    pids.append(pid)
print(sum(os.waitpid(pid, 0)[1] for pid in pids))
"""
    assert box.python(code).output == b"0\n"
    box.stop()


def test_an_endless_program_is_ended_by_its_time_and_the_sandbox_goes_on(boxes: Boxes) -> None:
    box = boxes()
    ended = box.python("while True: pass", timeout_s=0.3)
    assert (ended.stopped_by, ended.exit_code) == ("timeout", -signal.SIGKILL)
    ended = box.python("while True: print('x' * 1000)", timeout_s=20, most_bytes=100_000)
    assert (ended.stopped_by, len(ended.output)) == ("output", 100_000)
    assert box.python("print(1)").output == b"1\n"
    box.stop()


def test_a_cpu_share_is_kept_over_all_processes(boxes: Boxes) -> None:
    box = boxes(milli_cpus=250)
    code = """
import os, time
end = time.monotonic() + 2
children = [os.fork() for _ in range(1)]
while time.monotonic() < end: pass
"""
    used = box.python(code)
    box.stop()
    assert box.sandbox.watchdog is not None
    share = box.sandbox.watchdog.cpu.used_s / used.wall_s
    assert 0.05 < share < 0.35  # a busy machine may give less


def test_a_sandbox_that_nobody_uses_ends(boxes: Boxes) -> None:
    box = boxes(idle_s=0.4)
    began = time.monotonic()
    assert box.python("import time; time.sleep(0.6); print(1)").output == b"1\n"
    assert box.until_over() == "nobody used it for 0.4 s"
    assert time.monotonic() - began > 0.9


def test_a_sandbox_ends_with_its_time(boxes: Boxes) -> None:
    box = boxes(lifetime_s=0.4)
    with pytest.raises(SandboxEndedError, match=r"its 0.4 s are over"):
        box.python("import time; time.sleep(30)")


def test_more_programs_at_once_than_it_takes_are_refused(boxes: Boxes) -> None:
    box = boxes(processes=200)
    sleeping = Program(("sleep", "30"))
    running = [box.keeper.submit(box.sandbox.run(sleeping)) for _ in range(64)]
    with pytest.raises(SandboxRefusedError, match="64 programs"):
        box.python("pass")
    box.stop()
    for future in running:
        with pytest.raises(SandboxEndedError):
            future.result(10)


def test_as_many_programs_as_it_takes_all_start_and_each_has_its_own_descriptors(boxes: Boxes) -> None:
    """The streams of 64 are more than the 128 that a process may open."""
    box = boxes(processes=200)
    asked = Program(("sh", "-c", "ulimit -Sn; ulimit -Hn; sleep 2"))
    running = [box.keeper.submit(box.sandbox.run(asked)) for _ in range(64)]
    assert {future.result(60).output for future in running} == {b"128\n128\n"}


def test_stop_ends_a_daemon_that_detached_itself(boxes: Boxes) -> None:
    mark = f"mark-stop-{os.getpid()}"
    box = boxes()
    box.python(DAEMON.replace("MARK", mark))
    assert len(processes_named(mark)) == 1
    box.stop()
    assert _gone(mark)


@pytest.mark.usefixtures("isolation")
def test_kill_9_of_the_server_leaves_no_process_behind() -> None:
    mark = f"mark-kill-{os.getpid()}"
    script = f"""
import time  # noqa: TID251 -- sandboxes are in real time
from api_shim.sandboxes.backend import Wish
from api_shim.sandboxes.bubblewrap import Bubblewrap
from api_shim.sandboxes.keeper import Keeper
from api_shim.sandboxes.limits import SandboxLimits
from api_shim.sandboxes.sandbox import Program
keeper = Keeper(Bubblewrap())
box = keeper.submit(keeper.create(Wish("a", SandboxLimits()))).result()
keeper.submit(box.run(Program(code={DAEMON!r}.replace("MARK", "{mark[:9]}" + "{mark[9:]}")))).result()
print("up", flush=True)
time.sleep(600)
"""
    server = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert server.stdout is not None
    assert server.stdout.readline() == b"up\n"
    assert len(processes_named(mark)) == 1
    server.kill()
    server.wait()
    server.stdout.close()
    assert _gone(mark)


def _gone(mark: str) -> bool:
    until = time.monotonic() + 5
    while processes_named(mark):
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def test_a_shell_does_not_notice_that_its_jobs_are_held_back(boxes: Boxes) -> None:
    """Each job is stopped by the watchdog, dozens of times a second."""
    box = boxes(milli_cpus=200)

    async def story() -> bytes:
        shell = await box.sandbox.start(Program(("bash", "--norc", "-i"), terminal=(24, 80)))
        busy = b"for i in 1 2 3 4; do /usr/bin/python3 -c 'for i in range(2_000_000): pass'; done; exit\n"
        await shell.write(busy)
        seen = b""
        while (piece := await shell.read()) is not None:
            seen += piece[1]
        return seen

    seen = box.wait(box.keeper.submit(story()))
    box.stop()
    assert b"Stopped" not in seen
    assert seen.rstrip().endswith(b"exit")
