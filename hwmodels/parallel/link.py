"""What connects the GPUs of a node: measured times of collectives, and a formula where none were measured."""

from dataclasses import dataclass

import numpy as np

from e80sim.mistakes import UserError
from hwmodels.dense import FloatArray
from hwmodels.entry import LINK, CollectiveTimes, load_entry
from hwmodels.parallel.collectives import formula_us
from hwmodels.value import Value

US_PER_MS = 1e3
LATENCY, BANDWIDTH = "link_latency_us", "link_bandwidth_gb_per_s"

HALVES = {"all_gather": "all_reduce"}
"""A ring's sum is a reduce-scatter and a gather of as many bytes; NCCL's tables have 0.5 to 0.65 of it."""


@dataclass(frozen=True, slots=True)
class Link:
    latency_us: float
    gb_per_s: float
    """Of one GPU, in one direction, as collectives reach it."""
    measured: tuple[CollectiveTimes, ...] = ()

    def ms(self, collective: str, gpus: int, sizes: FloatArray) -> FloatArray:
        """`sizes` in bytes: of the result of a gather, of what one GPU contributes to all others."""
        times = self.times(collective, gpus)
        if times is not None:
            return _interpolated(times.us_by_bytes, sizes) / US_PER_MS
        if collective in HALVES and self.times(HALVES[collective], gpus) is not None:
            return self.ms(HALVES[collective], gpus, sizes) / 2
        by_formula = [
            formula_us(collective, gpus, size, self.latency_us, self.gb_per_s) for size in sizes.tolist()
        ]
        return np.array(by_formula) / US_PER_MS

    def times(self, collective: str, gpus: int) -> CollectiveTimes | None:
        """What was measured, None where nothing was."""
        wanted = (collective, gpus)
        return next((times for times in self.measured if (times.collective, times.gpus) == wanted), None)


def load_link(name: str) -> tuple[Link, dict[str, Value], str | None]:
    """The link of this catalogue name or path, its figures, and what a report must say of it."""
    entry = load_entry(name, LINK)
    values = entry.values
    for needed in (LATENCY, BANDWIDTH):
        if needed not in values:
            raise UserError(f"link {name} has no {needed}, which a link needs beside measured times")
    return Link(values[LATENCY].value, values[BANDWIDTH].value, entry.collectives), values, entry.note


def _interpolated(us_by_bytes: dict[int, float], sizes: FloatArray) -> FloatArray:
    """Linear between points and beyond the last two; below the first it holds."""
    points = sorted(us_by_bytes.items())
    at = np.array([size for size, _ in points], dtype=np.float64)
    us = np.array([time for _, time in points], dtype=np.float64)
    slope = (us[-1] - us[-2]) / (at[-1] - at[-2])
    beyond = np.maximum(sizes - at[-1], 0) * max(slope, 0.0)
    total: FloatArray = np.interp(sizes, at, us) + beyond
    return total
