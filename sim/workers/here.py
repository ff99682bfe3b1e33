"""Tasks in this process, one after the other."""

from collections.abc import Callable
from typing import Self

from sim.workers.executor import Ended, Failure, Work


class Here:
    """An executor whose work is done while its end is waited for."""

    places = 1

    def __init__(self) -> None:
        self._given: tuple[int, Work, object] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._given = None

    def submit(self, number: int, work: Work, task: object) -> None:
        assert self._given is None, "it takes one task at a time"
        self._given = number, work, task

    def ended(self, tell: Callable[[int, float], None]) -> Ended:
        assert self._given is not None, "there is nothing to wait for"
        (number, work, task), self._given = self._given, None
        try:
            return Ended(number, work(task, lambda share, _note: tell(number, share)))
        except Exception as error:  # noqa: BLE001 -- whoever asked for the work decides
            return Ended(number, None, Failure.raised(error))
