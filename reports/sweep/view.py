"""A sweep as its report sees it: rows, which of their columns were varied, and what is told of them."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports.sweep.answer import told_by
from reports.sweep.rows import DONE, Row
from reports.words import DURATIONS, PERCENT, PLAIN, Scale, as_chosen

Choose = Callable[[Row], bool]
MILLISECONDS = DURATIONS[1]


@dataclass(frozen=True, slots=True)
class Measure:
    """A column that can be looked at over all cells."""

    column: str
    title: str
    scale: Scale
    log: bool = False
    """Its values differ by factors."""

    @property
    def heading(self) -> str:
        """With its unit, so that numbers below need none."""
        return f"{self.title} ({self.scale.symbol})" if self.scale.symbol else self.title


@dataclass(frozen=True, slots=True)
class SweepView:
    about: Mapping[str, Any]
    """What `sweep.json` says."""
    rows: Sequence[Row]
    name: Callable[[Row], str]
    """Which cell a row is."""
    short: Mapping[str, str]
    """By field, what it is called."""

    @property
    def done(self) -> list[Row]:
        return [row for row in self.rows if row["status"] == DONE]

    @property
    def source(self) -> str:
        """The one whose latencies are drawn: the first."""
        return str(self.about["sources"][0])

    @property
    def model(self) -> str:
        return str(self.about["models"][0])

    def axes(self) -> dict[str, list[Any]]:
        """By field, its values in order, of fields with more than one; variants are a field, too."""
        fields = [*self.about["fields"], *(["variant"] if len(self.about["variants"]) > 1 else [])]
        found = {field: _in_order([row[field] for row in self.rows]) for field in fields}
        return {field: values for field, values in found.items() if len(values) > 1}

    def is_grid(self, axes: Mapping[str, Sequence[Any]]) -> bool:
        """Whether most combinations of values are cells: samples are not."""
        count = 1
        for values in axes.values():
            count *= len(values)
        return count <= 2 * len(self.rows)

    def title(self, field: str) -> str:
        return self.short.get(field, field)

    def latency(self) -> Measure | None:
        told = told_by(self.done, self.source)
        if told is None:
            return None
        of = f" of {self.source}" if len(self.about["sources"]) > 1 else ""
        return Measure(told[0], f"{told[1]}{of}", MILLISECONDS, log=True)

    def measures(self) -> list[Measure]:
        """What a map can show: those that any cell has."""
        latency, source, model = self.latency(), self.source, self.model
        wanted = [
            *([latency] if latency else []),
            Measure(f"{source}.attainment", "Attainment", PERCENT),
            Measure(f"{model}.utilisation", "Utilisation", PERCENT),
            Measure("output_tokens_per_s", "Output tokens/s", PLAIN),
            Measure(f"{model}.usd_per_1m_output_tokens", "USD per 1M output tokens", PLAIN, log=True),
            Measure(f"{model}.joules_per_output_token", "J per output token", PLAIN, log=True),
        ]
        return [one for one in wanted if any(row.get(one.column) is not None for row in self.done)]


def text_of(value: object) -> str:
    """A value of a field, on an axis."""
    return (
        json.dumps(value)
        if isinstance(value, dict | list)
        else as_chosen(value)
        if isinstance(value, float)
        else str(value)
    )


def is_number(values: Sequence[object]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def front(points: Sequence[tuple[float, float]], *, more_x: bool, more_y: bool) -> list[int]:
    """Which points no other beats in both, in the order of x. `more_x` where more is better."""
    signs = -1.0 if more_x else 1.0, -1.0 if more_y else 1.0
    order = sorted(range(len(points)), key=lambda i: (signs[0] * points[i][0], signs[1] * points[i][1]))
    found: list[int] = []
    best = float("inf")
    for index in order:
        y = signs[1] * points[index][1]
        if y < best:
            best = y
            found.append(index)
    return sorted(found, key=lambda i: points[i][0])


def knee(points: Sequence[tuple[float, float]]) -> int | None:
    """Of points (throughput, latency), where throughput over latency is greatest.

    That is Kleinrock's power (IEEE ICC 1979). None where it is at an end, so that nobody knows what comes
    beyond, or of fewer than three.
    """
    if len(points) < 3:
        return None
    best = max(range(len(points)), key=lambda i: points[i][0] / points[i][1])
    return best if 0 < best < len(points) - 1 else None


def _in_order(values: Sequence[Any]) -> list[Any]:
    """Each once; numbers by size, others as they come."""
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return sorted(found) if is_number(found) else found
