"""A number from a summary: its value, its interval if it has one, or why it was refused."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from reports.words import NEGLIGIBLE, Scale, Shown, duration_scale, with_error, with_interval


class ShownEstimate(NamedTuple):
    value: float | None
    low: float | None = None
    high: float | None = None
    refused: str = ""
    """Why there is no value; empty where there is one."""
    note: str = ""
    """Why there is no interval."""
    variance_reduction: float | None = None

    @property
    def has_interval(self) -> bool:
        return self.value is not None and self.low is not None and self.high is not None

    @property
    def has_spread(self) -> bool:
        """False where all replications agree but for the last bits."""
        if self.value is None or self.low is None or self.high is None:
            return False
        return self.high - self.low > NEGLIGIBLE * abs(self.value)

    @property
    def excludes_zero(self) -> bool:
        return self.low is not None and self.high is not None and (self.low > 0.0 or self.high < 0.0)

    def shown(self, scale: Scale | None = None) -> Shown:
        """With its interval; as a duration in its own unit unless a scale is given. Not for refused ones."""
        assert self.value is not None, self.refused
        scale = scale or duration_scale(self.value, self.low or 0.0, self.high or 0.0)
        return with_interval(self.value, self.low, self.high, scale)

    def with_error(self) -> str:
        """A duration as 14.3 ± 0.4 ms, or bare where there is no interval. Not for refused ones."""
        assert self.value is not None, self.refused
        if self.low is None or self.high is None:
            return self.shown().with_unit()
        return with_error(self.value, self.low, self.high, duration_scale(self.value, self.high, self.low))

    def negated(self) -> "ShownEstimate":
        value, low, high = (None if x is None else -x for x in (self.value, self.high, self.low))
        return self._replace(value=value, low=low, high=high)


def read_estimate(entry: Mapping[str, Any] | None) -> ShownEstimate:
    """Absent entries read as refused: a summary states what was measured, and nothing else is."""
    if entry is None:
        return ShownEstimate(None, refused="not measured")
    if "refused" in entry:
        return ShownEstimate(None, refused=str(entry["refused"]))
    return ShownEstimate(
        value=entry["value"],
        low=entry.get("low"),
        high=entry.get("high"),
        note=str(entry.get("note") or ""),
        variance_reduction=entry.get("variance_reduction"),
    )


def overlap(one: ShownEstimate, other: ShownEstimate) -> bool:
    """Whether the intervals share a value. Without both intervals nothing can be told apart."""
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return True
    return one.low <= other.high and other.low <= one.high
