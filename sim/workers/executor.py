"""What carries tasks out: a small protocol, with an implementation for each place where they may run.

A task and its result travel between processes, so both are pickled, and `work` by its name.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, Self

from e80sim.mistakes import UserError

Tell = Callable[[float, str], None]
"""(share done, note)"""
Work = Callable[[Any, Tell], Any]
"""A function of a module: from a task, and what to tell progress to, to a result."""


class Failure(NamedTuple):
    """Why a task has no result."""

    why: str
    """The end of a sentence."""
    error: Exception | None
    """What the work raised; None where it was lost with its process."""
    final: bool
    """Whether another try would end the same way."""

    @classmethod
    def raised(cls, error: Exception) -> "Failure":
        """A task gives the same each time, so another try helps only against a machine's troubles."""
        why = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        return cls(why, error, final=not isinstance(error, MemoryError | OSError))


class Ended(NamedTuple):
    """A task that is over. Just one of `result` and `failure` says how."""

    number: int
    result: Any
    failure: Failure | None = None


class Executor(Protocol):
    """A context manager, at whose end nothing is at work any more."""

    @property
    def places(self) -> int:
        """How many tasks it takes before one of them must have ended."""

    def submit(self, number: int, work: Work, task: object) -> None:
        """Begin `work` on a task. `number` names it until it has ended."""

    def ended(self, tell: Callable[[int, float], None]) -> Ended:
        """Wait for any of the tasks to end; meanwhile `tell` hears (number, share) of those that report it.

        After an interrupt it does not wait for long: tasks notice, or are given up as failures.
        """

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...
