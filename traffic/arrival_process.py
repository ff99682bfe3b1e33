"""What every kind of arrivals is, whatever makes its times."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import count
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from traffic.spec import Spec
from traffic.traces.file import TraceFile
from traffic.units import BLOCK, IntArray


class ArrivalProcess(Spec, ABC):
    """Makes times block by block, so a run holds one pending arrival per source.

    A block is a list of whole picoseconds; times never decrease, and all lie in [0, horizon): an arrival at
    the horizon itself belongs to the time after. The times are the same whatever the block size.
    """

    kind: str
    is_stationary: ClassVar[bool] = False
    """Whether the rate stays the same throughout, so that whatever changes at the start is the start-up."""

    @abstractmethod
    def blocks(self, rng: Generator, horizon_ps: int, size: int = BLOCK) -> Iterator[list[int]]:
        """Arrival times before `horizon_ps`, at most `size` at a time and never an empty block."""

    @property
    @abstractmethod
    def mean_rate_per_s(self) -> float | None:
        """In the long run; None where no rate can be told."""

    def expected(self, horizon_s: float) -> float | None:
        """Arrivals within so long, about; None where nothing can be told."""
        return None if self.mean_rate_per_s is None else self.mean_rate_per_s * horizon_s

    @property
    def last_ps(self) -> int | None:
        """The last arrival, None where they go on for ever."""
        return None

    @property
    def callers(self) -> int | None:
        """How many come in all, None where that is not what is stated."""
        return None

    @property
    def label(self) -> str:
        """What reports call it: how often it happens anew is what their intervals rest on."""
        return self.kind

    def load(self) -> None:
        """Read the files that it takes, so that whatever is wrong with them is told before a run starts."""

    def notes(self, horizon_ps: int) -> Iterator[str]:
        """What a reader must know of a run so long, in sentences."""
        del horizon_ps
        return iter(())

    @property
    def replayed(self) -> TraceFile | None:
        """The recorded trace whose rows the arrivals are, if they are."""
        return None

    def rows(self, rng: Generator | None, size: int) -> Iterator[IntArray]:
        """The number that stands for each arrival, `size` at a time, without end: of its row, or its own.

        `rng` is what `blocks` was given; only who draws rows needs it.
        """
        del rng
        return (np.arange(first, first + size) for first in count(0, size))
