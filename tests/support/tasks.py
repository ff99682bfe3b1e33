"""Work for executors, which other processes find by its name."""

import os
import signal
import time  # noqa: TID251 -- work that takes a while
from pathlib import Path

from e80sim.mistakes import UserError
from sim.workers.executor import Tell

VICTIM = "E80SIM_TEST_VICTIM"
"""In the environment of a worker that is to be lost."""


def doubled(task: int, tell: Tell) -> int:
    tell(0.5, "")
    return 2 * task


def slowest_first(task: int, _tell: Tell) -> int:
    time.sleep(0.3 if task == 0 else 0.0)
    return task


def killed_at_first(task: tuple[int, Path, int], _tell: Tell) -> int:
    """(number, folder, how often its process is killed)."""
    number, folder, times = task
    tries = len(list(folder.glob(f"{number}.*")))
    if tries < times:
        (folder / f"{number}.{tries}").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def lost_with_its_worker(task: tuple[int, Path], _tell: Tell) -> int:
    """(number, folder). A worker that is told to by its environment dies of the first task that it gets.

    The others wait for that, so that it does get one, however they are divided.
    """
    number, folder = task
    (folder / f"{number}.{os.getpid()}").touch()
    if VICTIM in os.environ:
        (folder / "lost").write_text(str(number))
        os.kill(os.getpid(), signal.SIGKILL)
    while not (folder / "lost").exists():
        time.sleep(0.01)
    return number


def wrong(task: int, _tell: Tell) -> int:
    if task == 1:
        raise UserError("the first is wrong")
    if task == 2:
        raise ZeroDivisionError("the second divides by nothing")
    if task == 3:
        raise Unreadable(1, 2)
    if task == 4:
        raise MemoryError
    return task


class Unreadable(Exception):  # noqa: N818 -- it is an error that does not survive its journey
    def __init__(self, one: int, two: int) -> None:
        super().__init__(one + two)
