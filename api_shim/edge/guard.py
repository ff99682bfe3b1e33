"""The parent of an application's processes: when the server is gone, so are they.

An interpreter takes it as one file, so it imports nothing of ours:

    python -I -S guard.py DIRECTORY ADDRESS_SPACE_BYTES COMMAND...

Its standard input is a pipe that the server holds. A byte asks the application to end, as SIGTERM does; the
end of the pipe, which also comes when the server is killed, kills everything. Whoever leaves the application
(`setsid`, a double fork) becomes a child of this process and goes the same way. DIRECTORY is removed then.
"""

import ctypes
import os
import resource
import select
import shutil
import signal
import sys
import time  # noqa: TID251 -- a program of its own

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
"""prctl(2)."""
ORPHANS_MS = 1000
"""How long a process that nobody waited for may stay a zombie."""
PAUSE_S = 0.002
KILLED = 128
"""Added to the number of the signal that ended the application, as shells do."""


def main(directory: str, address_space_bytes: int, command: list[str]) -> int:
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    guard = os.getpid()
    application = os.fork()
    if application == 0:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != guard:
            os._exit(1)
        _become(address_space_bytes, command)
    try:
        return _until_over(application)
    finally:
        _kill_all()
        shutil.rmtree(directory, ignore_errors=True)


def _become(address_space_bytes: int, command: list[str]) -> None:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    resource.setrlimit(resource.RLIMIT_AS, (address_space_bytes, address_space_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        os.execvp(command[0], command)  # noqa: S606 -- to start what it is told is what it is for
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        sys.stderr.flush()
    os._exit(127)


def _until_over(application: int) -> int:
    poll = select.poll()
    ended = os.pidfd_open(application)
    poll.register(ended, select.POLLIN)
    poll.register(0, select.POLLIN)
    while True:
        ready = dict(poll.poll(ORPHANS_MS))
        if ended in ready:
            _, status = os.waitpid(application, 0)
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else KILLED - code
        if 0 in ready:
            if not os.read(0, 1):
                return KILLED + signal.SIGKILL
            os.kill(application, signal.SIGTERM)
        _reap(application)


def _reap(application: int) -> None:
    """All but the application, whose status is still wanted."""
    for child in _children(os.getpid()):
        if child != application:
            try:
                os.waitpid(child, os.WNOHANG)
            except ChildProcessError:
                continue


def _kill_all() -> None:
    """Whoever is killed leaves its children to us, so this ends when there are none."""
    while children := _children(os.getpid()):
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, os.WNOHANG)
        time.sleep(PAUSE_S)


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:  # noqa: PTH123 -- pathlib takes long to import
        return [int(child) for child in file.read().split()]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
