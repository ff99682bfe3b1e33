"""Ctrl-C or SIGTERM asks a run to stop at the next quiet moment; a second one stops it at once."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from sim.workers import lifeline

SIGNALS = (signal.SIGINT, signal.SIGTERM)
STDERR = 2

CLEAR_LINE = b"\r\x1b[K"

_asked = False
_answer: str | None = None


def listen(answer: str | None = None) -> None:
    """Take the signals over, in the main thread of this process. `answer` is told to who asks, at once."""
    global _asked  # noqa: PLW0603 -- a signal belongs to the process
    _asked = False
    will_answer(answer)
    for number in SIGNALS:
        signal.signal(number, _note)


def will_answer(answer: str | None) -> None:
    """From here on; None: nothing."""
    global _answer  # noqa: PLW0603 -- a signal belongs to the process
    _answer = answer


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
    if _answer is not None:
        _tell(_answer)
    for worker in multiprocessing.active_children():  # a signal sent to this process alone did not reach them
        if worker.pid is not None:
            os.kill(worker.pid, signal.SIGINT)


def _tell(answer: str) -> None:
    """Past the buffer of stderr, which may be in use. A bar of progress goes, and comes again below."""
    with suppress(OSError):  # nobody listens any more
        line = f"e80sim: {answer}\n".encode()
        os.write(STDERR, CLEAR_LINE + line if os.isatty(STDERR) else line)


def _note_in_worker(_signal: int, _frame: FrameType | None) -> None:
    _set()


def _set() -> None:
    global _asked  # noqa: PLW0603 -- a signal belongs to the process
    _asked = True
