"""Ctrl-C asks a run to stop at the next quiet moment; a second one stops it at once."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_asked = False


def listen() -> None:
    """Take the interrupt signal over, in the main thread of this process."""
    global _asked  # noqa: PLW0603 -- a signal belongs to the process
    _asked = False
    signal.signal(signal.SIGINT, _note)


def listen_in_worker() -> None:
    """A worker finishes early once, however often it is told: its parent decides when to give up."""
    signal.signal(signal.SIGINT, _note_in_worker)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@contextmanager
def withheld() -> Iterator[None]:
    """For starting workers: one that is interrupted before it listens would die and take the run with it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def asked() -> bool:
    return _asked


def _note(_signal: int, _frame: FrameType | None) -> None:
    if _asked:
        for worker in multiprocessing.active_children():
            worker.kill()
        raise KeyboardInterrupt
    _set()
    for worker in multiprocessing.active_children():  # a signal sent to this process alone did not reach them
        if worker.pid is not None:
            os.kill(worker.pid, signal.SIGINT)


def _note_in_worker(_signal: int, _frame: FrameType | None) -> None:
    _set()


def _set() -> None:
    global _asked  # noqa: PLW0603 -- a signal belongs to the process
    _asked = True
