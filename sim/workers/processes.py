"""Tasks in processes of this machine. One that is killed takes no more with it than its own task.

Each has a pipe of its own, and this process no threads: at any moment, also in the middle of an interrupt,
it can end all of them and be done.
"""

import multiprocessing
import signal
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Self

from sim.workers import interrupt
from sim.workers.executor import Ended, Failure, Work
from sim.workers.worker import Result, Share, main

SILENCE_S = 1.0

KILLED = "the process that worked on it was killed, perhaps for want of memory"


@dataclass(slots=True, eq=False)
class _Worker:
    process: SpawnProcess
    connection: "Connection[Any, Any]"
    number: int = -1
    """Of the task that it is at."""
    share: float = 0.0
    """Of that task, as far as it has told."""

    def end(self) -> None:
        """Without waiting for what it is at."""
        self.process.kill()
        self.process.join()
        self.process.close()
        self.connection.close()


class Processes:
    """An executor with up to `places` processes, which start when there is work for them."""

    def __init__(self, places: int) -> None:
        self.places = places
        # A fork would copy the threads of libraries that already run some.
        self._context = multiprocessing.get_context("spawn")
        self._idle: list[_Worker] = []
        self._busy: dict[Connection[Any, Any], _Worker] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        with interrupt.withheld():
            for worker in (*self._idle, *self._busy.values()):
                worker.end()
            self._idle.clear()
            self._busy.clear()

    def submit(self, number: int, work: Work, task: object) -> None:
        assert len(self._busy) < self.places, "all processes are at work"
        worker = self._free() or self._started()
        worker.number, worker.share = number, 0.0
        self._busy[worker.connection] = worker
        try:
            worker.connection.send((work, task))
        except OSError:  # it is gone, and `ended` will see that
            return

    def ended(self, tell: Callable[[int, float], None]) -> Ended:
        while True:
            worker = self._heard_of()
            if worker is None:
                for busy in self._busy.values():  # progress that nobody looked at comes once more
                    tell(busy.number, busy.share)
                continue
            try:
                answer = worker.connection.recv()
            except (EOFError, OSError):
                return Ended(worker.number, None, self._lost(worker))
            if isinstance(answer, Share):
                worker.share = answer.done
                tell(worker.number, worker.share)
                continue
            self._idle.append(self._busy.pop(worker.connection))
            if isinstance(answer, Result):
                return Ended(worker.number, answer.value)
            return Ended(worker.number, None, answer)

    def _heard_of(self) -> _Worker | None:
        """One that has said something, or has ended; None after some silence."""
        ready = wait(self._busy, SILENCE_S)
        return self._busy[ready[0]] if ready else None  # type: ignore[index]  # it waits for connections only

    def _free(self) -> _Worker | None:
        """One without work. Those that were killed meanwhile are no loss."""
        while self._idle:
            worker = self._idle.pop()
            if worker.process.is_alive():
                return worker
            worker.end()
        return None

    def _started(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=main, args=(theirs,))
        resource_tracker.ensure_running()  # its first start lets the signals through that are withheld below
        with interrupt.withheld():
            process.start()
        theirs.close()
        return _Worker(process, ours)

    def _lost(self, worker: _Worker) -> Failure:
        del self._busy[worker.connection]
        worker.process.join()
        status = worker.process.exitcode
        worker.end()
        why = KILLED
        if status != -signal.SIGKILL:
            why = f"the process that worked on it ended with status {status}"
        return Failure(why, None, final=False)
