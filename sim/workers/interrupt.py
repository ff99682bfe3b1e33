"""Ctrl-C or SIGTERM asks a run to stop at the next quiet moment; a second one stops it at once."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from sim.workers import lifeline

SIGNALS = (signal.SIGINT, signal.SIGTERM)

_asked = False


def listen() -> None:
    """Take the signals over, in the main thread of this process."""
    global _asked  # noqa: PLW0603 -- a signal belongs to the process
    _asked = False
    for number in SIGNALS:
        signal.signal(number, _note)


def listen_in_worker() -> None:
    """A worker finishes early once, however often it is told: its parent decides when to give up."""
    lifeline.end_with_parent()
    for number in SIGNALS:
        signal.signal(number, _note_in_worker)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


@contextmanager
def withheld() -> Iterator[None]:
    """For starting workers: one that is interrupted before it listens would die and take the run with it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def asked() -> bool:
    return _asked


def end_workers() -> None:
    """Without waiting for what they are at."""
    for worker in multiprocessing.active_children():
        worker.kill()


def _note(_signal: int, _frame: FrameType | None) -> None:
    if _asked:
        end_workers()
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
