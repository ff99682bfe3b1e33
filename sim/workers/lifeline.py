"""Nothing outlives its parent: a child process ends with the one it works for, even where that was killed.

`python -m sim.workers.lifeline FD MODULE ...` runs MODULE as `python -m` would, until FD, a descriptor, is
closed.
"""

import ctypes
import multiprocessing
import os
import runpy
import signal
import sys
import time  # noqa: TID251 -- a child that hangs is given time before it is ended
from _thread import start_new_thread
from collections.abc import Sequence
from multiprocessing.connection import wait

PR_SET_PDEATHSIG = 1
GRACE_S = 30.0
"""For a child that was asked to end: it may have something to write."""


def end_with_parent() -> None:
    """In a worker that `multiprocessing` started: nobody is left to take its results, so it ends at once."""
    _ask_the_kernel(signal.SIGKILL)
    parent = multiprocessing.parent_process()
    assert parent is not None
    start_new_thread(_end_after, (parent.sentinel,))


def end_with(parent: int) -> None:
    """In a child that `parent` has forked or started, on Linux: it is killed when that ends, or has ended."""
    _ask_the_kernel(signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def command(lifeline: int, module: str, arguments: Sequence[str]) -> list[str]:
    """What to start a child with that `lifeline`, the read end of a pipe, is passed on to."""
    return [sys.executable, "-m", "sim.workers.lifeline", str(lifeline), module, *arguments]


def _ask_the_kernel(death: signal.Signals) -> None:
    """Linux sends a signal at a parent's death. Elsewhere, and if it died just before, a thread notices."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(death), 0, 0, 0)


def _end_after(sentinel: int) -> None:
    wait([sentinel])
    os.kill(os.getpid(), signal.SIGKILL)


def _end_in_order_after(lifeline: int) -> None:
    os.read(lifeline, 1)  # nobody writes: it comes back when the other end is closed
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os.kill(os.getpid(), signal.SIGKILL)


def _run(lifeline: int, module: str, arguments: Sequence[str]) -> None:
    # Not `threading`, whose threads gevent does not like to find when locust takes it over.
    start_new_thread(_end_in_order_after, (lifeline,))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _run(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
