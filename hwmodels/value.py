"""One number of the catalogue, with where it comes from and how far to trust it."""

import re
from dataclasses import dataclass

from pydantic import ConfigDict

from e80sim.choices import Confidence

SYMBOLS = {
    "ms": "ms",
    "us": "us",
    "s": "s",
    "w": "W",
    "gb": "GB",
    "mbit": "Mbit",
    "bytes": "bytes",
    "km": "km",
    "tflops": "TFLOPS",
    "usd": "USD",
    "tokens": "tokens",
}
"""Units as they end a name (or stand before `_per_`), and as people write them."""
_UNIT = re.compile(rf"(?:^|_)({'|'.join(SYMBOLS)})(?:_per_(\w+))?$")


def unit_of(name: str) -> str:
    """The unit in a name: `ms per kv token` for `decode_ms_per_kv_token`, empty where it has none."""
    found = _UNIT.search(name)
    if found is None:
        return ""
    symbol, per = SYMBOLS[found[1]], found[2]
    return f"{symbol} per {per.replace('_', ' ')}" if per else symbol


@dataclass(frozen=True, slots=True)
class Value:
    """`low` and `high` bound what the evidence allows; both are absent where nothing bounds it."""

    name: str
    value: bool | int | float
    source: str
    confidence: Confidence
    low: float | None = None
    high: float | None = None

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    def __post_init__(self) -> None:
        if not self.source.strip():
            raise ValueError(f"{self.name} has an empty source")
        if (self.low is None) != (self.high is None):
            raise ValueError(f"{self.name} states one end of its range: state both or none")
        if self.low is not None and self.high is not None and not self.low <= self.value <= self.high:
            raise ValueError(
                f"{self.name} is {self.value:g}, outside its range {self.low:g} to {self.high:g}"
            )

    @property
    def unit(self) -> str:
        return unit_of(self.name)
