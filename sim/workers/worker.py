"""A process that does what it is sent, until nobody sends any more."""

import time  # noqa: TID251 -- how often progress is told
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any

from sim.workers import interrupt
from sim.workers.executor import Failure, Tell, Work

EVERY_S = 0.2
"""Between two reports of how far a task is."""


@dataclass(frozen=True, slots=True)
class Share:
    """How far a task is."""

    done: float


@dataclass(frozen=True, slots=True)
class Result:
    value: Any


def main(connection: "Connection[Any, Any]") -> None:
    """It answers (work, task) with shares, and then a result or a failure."""
    interrupt.listen_in_worker()
    try:
        while True:
            work, task = connection.recv()
            connection.send_bytes(_answer(work, task, _teller(connection)))
    except (EOFError, OSError):  # whoever sent the tasks is gone
        return


def _answer(work: Work, task: object, tell: Tell) -> bytes:
    try:
        return _pickled(Result(work(task, tell)))
    except Exception as error:  # noqa: BLE001 -- whoever asked for the work decides
        return _told(error, f"In its process:\n{traceback.format_exc()}")


def _told(error: Exception, where: str) -> bytes:
    """The failure with its traceback, which does not travel by itself."""
    error.add_note(where)
    failure = Failure.raised(error)
    try:
        return _pickled(failure)
    except Exception:  # noqa: BLE001 -- it may hold anything
        return _pickled(failure._replace(error=RuntimeError(f"{failure.why}\n{where}")))


def _pickled(answer: Result | Failure) -> bytes:
    """As it arrives, too: some errors can be written and not read again."""
    written = bytes(ForkingPickler.dumps(answer))
    if isinstance(answer, Failure):
        ForkingPickler.loads(written)
    return written


def _teller(connection: "Connection[Any, Any]") -> Tell:
    told = time.monotonic()

    def tell(share: float, _note: str) -> None:
        nonlocal told
        if (now := time.monotonic()) - told >= EVERY_S:
            told = now
            connection.send(Share(share))

    return tell
