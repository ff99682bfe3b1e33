"""The section `sweep`: which fields a study varies, and over which values.

Values are a list, or a range in short: `1:16` (whole steps, both ends included), `1:16:5`, `0:1:0.25`,
`1:64:*2` (each twice the one before), `0:1:lin5` and `1:100:log5` (five values, evenly spaced).
"""

import math
import re
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, Field, model_validator

from sim.scenario.section import Section

MOST_VALUES = 10_000
"""Of one field."""
MOST_CELLS = 100_000
"""Of a sweep."""
NUMBER = r"[-+]?(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
RANGE = re.compile(rf"({NUMBER}):({NUMBER})(?::(?:(\*?)({NUMBER})|(lin|log)(\d+)))?")
BOUNDS = re.compile(rf"({NUMBER})\.\.({NUMBER})(:log)?")
SPACINGS = ("lin", "log")
FORMS = "a list, or a range such as 1:16, 1:16:5, 1:64:*2, 0:1:lin5 or 1:100:log5"


class Bounds(NamedTuple):
    """What samples of a field lie between."""

    low: float
    high: float
    log: bool
    """Evenly in the logarithm."""

    def at(self, share: float) -> float | int:
        """The value below which `share` of the range lies; whole where both ends are."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            # Each whole number gets its part of the range, the ends as large a one as the others.
            value = self._at(share, self.low, self.high + 1)
            return min(math.floor(value), self.high)
        return self._at(share, self.low, self.high)

    def _at(self, share: float, low: float, high: float) -> float:
        return low * (high / low) ** share if self.log else low + share * (high - low)


def values_of(stated: object) -> tuple[Any, ...]:
    """What a field takes, one after the other. Raises ValueError."""
    if isinstance(stated, str):
        stated = tuple(_range(stated))
    elif isinstance(stated, list | tuple):
        stated = tuple(stated)
    else:
        stated = (stated,)
    if not stated:
        raise ValueError(f"it has no value: give {FORMS}")
    return stated


def bounds_of(stated: object) -> Bounds:
    """Raises ValueError."""
    found = BOUNDS.fullmatch(stated) if isinstance(stated, str) else None
    if found is None:
        raise ValueError(f"{stated!r} is not a range for samples: write it as 1..16, 0.5..2 or 1..100:log")
    low, high, log = _number(found[1]), _number(found[2]), found[3] is not None
    if low >= high:
        raise ValueError(f"{stated} is empty: the lower end comes first")
    if log and low <= 0:
        raise ValueError(f"{stated} has no logarithm: it must begin above 0")
    return Bounds(low, high, log)


def is_range(text: str) -> bool:
    return RANGE.fullmatch(text) is not None


def _range(text: str) -> Iterator[float | int]:
    found = RANGE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not {FORMS}")
    low, high = _number(found[1]), _number(found[2])
    if found[5]:
        return _spaced(text, low, high, found[5], int(found[6]))
    step = _number(found[4] or "1")
    return _multiplied(text, low, high, step) if found[3] else _stepped(text, low, high, step)


def _stepped(text: str, low: float, high: float, step: float) -> Iterator[float | int]:
    if step <= 0 or high < low:
        raise ValueError(f"{text} is empty: it goes up, from the lower end by a step above 0")
    count = math.floor((high - low) / step + 1e-9) + 1
    _require_few(text, count)
    # Twelve digits: 0.1 times 3 is what a person would have written.
    return (
        value if isinstance(value := low + i * step, int) else float(f"{value:.12g}") for i in range(count)
    )


def _multiplied(text: str, low: float, high: float, factor: float) -> Iterator[float | int]:
    if factor <= 1 or low <= 0 or high < low:
        raise ValueError(f"{text} is empty: it goes up, from above 0 by a factor above 1")
    count = math.floor(math.log(high / low) / math.log(factor) + 1e-9) + 1
    _require_few(text, count)
    values = (low * factor**i for i in range(count))
    return (value if isinstance(value, int) else float(f"{value:.12g}") for value in values)


def _spaced(text: str, low: float, high: float, spacing: str, count: int) -> Iterator[float]:
    if count < 2 or low >= high or (spacing == "log" and low <= 0):
        above = "from above 0 " if spacing == "log" else ""
        raise ValueError(f"{text} is empty: it goes up {above}in two values or more")
    _require_few(text, count)
    bounds = Bounds(float(low), float(high), spacing == "log")
    return (float(f"{bounds.at(i / (count - 1)):.12g}") for i in range(count))


def _require_few(text: str, count: int) -> None:
    if count > MOST_VALUES:
        raise ValueError(f"{text} has {count:,} values, and a field may have {MOST_VALUES:,}")


def _number(text: str) -> float | int:
    text = text.replace("_", "")
    return int(text) if re.fullmatch(r"[-+]?\d+", text) else float(text)


def _no_bounds(stated: object) -> object:
    bounds_of(stated)
    return stated


Values = Annotated[tuple[Any, ...], BeforeValidator(values_of)]
Ends = Annotated[str, BeforeValidator(_no_bounds)]


class Samples(Section):
    """A Latin hypercube: of each field one sample lies in each of as many equal parts of its range."""

    count: int = Field(ge=1, le=MOST_CELLS, description="samples; with a grid, at each of its points")
    ranges: dict[str, Ends] = Field(
        min_length=1, description="by field: `1..16` (whole numbers), `0.5..2.0`, `1..100:log`"
    )


class SweepSection(Section):
    """What `e80sim sweep` varies. A field is a path such as `models.llama.nodes`."""

    grid: dict[str, Values] = Field(
        default_factory=dict, description="by field, its values: each with each of the others"
    )
    zip: dict[str, Values] = Field(
        default_factory=dict, description="by field, as many values each: they go together"
    )
    samples: Samples | None = Field(None, description="absent: no samples are drawn")

    @model_validator(mode="after")
    def _goes_together(self) -> "SweepSection":
        counts = {name: len(values) for name, values in self.zip.items()}
        if len(set(counts.values())) > 1:
            each = ", ".join(f"{name} has {count}" for name, count in counts.items())
            raise ValueError(f"fields of `zip` go together and need as many values each: {each}")
        names = [*self.grid, *self.zip, *(self.samples.ranges if self.samples else ())]
        twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
        if twice is not None:
            raise ValueError(f"`{twice}` is varied twice")
        if self.cells > MOST_CELLS:
            raise ValueError(f"that is {self.cells:,} cells, and a sweep may have {MOST_CELLS:,}")
        return self

    @property
    def cells(self) -> int:
        """Points of the design."""
        points = math.prod(len(values) for values in self.grid.values())
        points *= len(next(iter(self.zip.values()), (None,)))
        return points * (self.samples.count if self.samples else 1)

    @property
    def fields(self) -> list[str]:
        return [*self.grid, *self.zip, *(self.samples.ranges if self.samples else ())]
