"""What a file of measurements says of each metric: request by request, or sums alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from e80sim.measured import AUTO, MeasuredError, MeasuredRequest, read_measured
from e80sim.measured.locust import LOCUST, read_stats
from reports.exports.spread import totals
from sim.validation.recorded import METRICS, FloatArray, times_ms

PERCENTS = (50.0, 90.0, 95.0, 99.0)


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """Of one metric."""

    requests: int
    mean_ms: float
    quantiles_ms: Mapping[float, float]
    """By per cent."""
    values_ms: FloatArray | None = None
    """By answered request, not a number where there is none; None where the file has only sums."""


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredFile:
    name: str
    format: str
    requests: int
    failed: int
    answered_per_s: float
    told: Mapping[str, Told]
    notes: tuple[str, ...]
    answered: Sequence[MeasuredRequest] = ()
    """In order of arrival; none of a file that has only sums."""
    arrivals_s: Sequence[float] = ()
    """Of all requests, answered or not."""
    output_tokens_per_s: float | None = None


def measured_file(path: Path, format: str = AUTO) -> MeasuredFile:  # noqa: A002 -- the word of the option
    """Raises MeasuredError."""
    stats = read_stats(path) if format in {AUTO, LOCUST} else None
    if stats is not None:
        told = {"e2e": Told(stats.requests, stats.mean_ms, stats.quantiles_ms)}
        answered_per_s = stats.per_s * (1 - stats.failed / stats.requests)
        return MeasuredFile(
            stats.name, LOCUST, stats.requests, stats.failed, answered_per_s, told, stats.notes
        )
    measured = read_measured(path, format)
    if not measured.answered:
        raise MeasuredError(f"{path} holds no requests that were answered")
    of = totals(measured)
    return MeasuredFile(
        measured.name,
        measured.format,
        len(measured.rows),
        of.failed,
        of.answered / of.duration_s,
        dict(_told(measured.answered)),
        measured.notes,
        measured.answered,
        [row.arrival_s for row in measured.rows],
        of.output_tokens / of.duration_s,
    )


def _told(answered: Sequence[MeasuredRequest]) -> Iterator[tuple[str, Told]]:
    for metric in METRICS:
        values = times_ms(answered, metric)
        known = values[np.isfinite(values)]
        if len(known):
            # Of fewer than 100 requests the p99 is little more than the slowest one.
            percents = [percent for percent in PERCENTS if len(known) >= 100 / (100 - percent)]
            quantiles = dict(zip(percents, np.percentile(known, percents).tolist(), strict=True))
            yield metric, Told(len(known), float(known.mean()), quantiles, values)
