"""The points of a sweep: what is put over the scenario in each of its cells."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from sim.run.uncertainty import latin_hypercube
from sim.scenario.overrides import Setting
from sim.scenario.sentences import shown
from sim.scenario.sweep import SweepSection, bounds_of
from sim.time.streams import stream

STREAM = "sweep"
Point = Mapping[str, Any]
"""By field, its value."""


@dataclass(frozen=True, slots=True)
class Design:
    """A sweep section, and the seed that its samples are drawn with."""

    section: SweepSection
    seed: int

    @property
    def fields(self) -> list[str]:
        return self.section.fields

    def points(self) -> Iterator[Point]:
        """The first field of the grid varies slowest; at each point of it come all the samples."""
        grid, zipped, samples = self.section.grid, self.section.zip, self._samples()
        together = list(zip(*zipped.values(), strict=True)) if zipped else [()]
        for values, pairs, sample in product(product(*grid.values()), together, samples):
            yield dict(zip(self.fields, (*values, *pairs, *sample), strict=True))

    def _samples(self) -> list[tuple[Any, ...]]:
        samples = self.section.samples
        if samples is None:
            return [()]
        bounds = [bounds_of(stated) for stated in samples.ranges.values()]
        shares = latin_hypercube(stream(self.seed, 0, STREAM), samples.count, len(bounds))
        return [tuple(one.at(float(share)) for one, share in zip(bounds, row, strict=True)) for row in shares]


def settings_of(point: Point) -> list[Setting]:
    """As after `--set`, with the field and its value in front of any error."""
    return [Setting(field, value, f"{field}={shown(value)}") for field, value in point.items()]


def short_names(fields: list[str]) -> dict[str, str]:
    """By field, its last words: as few as no other field ends with."""
    found = {}
    for field in fields:
        words = field.split(".")
        ends = (".".join(words[-count:]) for count in range(1, len(words) + 1))
        found[field] = next(
            end
            for end in ends
            if end == field or not any(other != field and f".{other}".endswith(f".{end}") for other in fields)
        )
    return found
