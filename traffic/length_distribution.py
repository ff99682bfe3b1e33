"""What every kind of length answers."""

from abc import ABC, abstractmethod

import numpy as np

from traffic.spec import Spec
from traffic.units import IntArray


class LengthDistribution(Spec, ABC):
    kind: str

    @abstractmethod
    def sample(self, rng: np.random.Generator, n: int) -> IntArray:
        """`n` draws of whole tokens."""

    @property
    def least_tokens(self) -> int:
        """No draw is below it."""
        return 1
