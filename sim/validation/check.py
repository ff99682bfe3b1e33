"""A bound that was set before the error was known, and the error."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """An error and the most that it may be, both as shares of the measured value."""

    what: str
    error: float
    bound: float
    enforced: bool = True
    """Else it is shown and may fail: what it takes is not built."""

    @property
    def passed(self) -> bool:
        return abs(self.error) <= self.bound

    @property
    def verdict(self) -> str:
        if self.passed:
            return "pass"
        return "FAIL" if self.enforced else "not met"
