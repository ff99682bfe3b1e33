"""Sums and quantiles over measured requests, as the files of tools state them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from e80sim.measured import MeasuredRequest, MeasuredRequests
from reports.columns import Floats

MS_PER_S = 1e3


@dataclass(frozen=True, slots=True)
class Totals:
    """Of the requests that were answered, over the time from the first send to the last end."""

    duration_s: float
    answered: int
    failed: int
    input_tokens: int
    output_tokens: int


def totals(requests: MeasuredRequests) -> Totals:
    answered = requests.answered
    ends_s = [row.arrival_s + (row.e2e_ms or 0.0) / MS_PER_S for row in requests.rows]
    return Totals(
        max(ends_s) or 1.0,
        len(answered),
        len(requests.rows) - len(answered),
        sum(row.input_tokens for row in answered),
        sum(row.output_tokens for row in answered),
    )


def known(values: Iterable[float | None]) -> Floats:
    return np.array([value for value in values if value is not None], dtype=np.float64)


def quantiles(values: Floats, percents: Sequence[float]) -> list[float]:
    """Linear between the two nearest, as numpy's default and all of these tools have it; 0 of nothing."""
    found: list[float] = np.percentile(values, percents).tolist() if len(values) else [0.0] * len(percents)
    return found


MOST_GAPS = 5_000_000
"""In a file; of more tokens each request has one gap, from its first token to its last."""


def gaps_ms(requests: MeasuredRequests) -> list[list[float]]:
    """Between the tokens of each request. Where the rows have none, its mean gap each time."""
    every = not _too_many(requests)
    return [list(row.itl_ms) or _spread_evenly(row, every=every) for row in requests.rows]


def gap_losses(requests: MeasuredRequests) -> Iterator[str]:
    """What `gaps_ms` gives otherwise than was, in a sentence."""
    if _too_many(requests):
        yield f"Each request has one gap for all of its tokens: there would be more than {MOST_GAPS:,}."
    elif any(row.error is None and not row.itl_ms for row in requests.rows):
        yield "The gaps between tokens of a request are its mean gap: a run keeps no gap of its own for each."


def _too_many(requests: MeasuredRequests) -> bool:
    return sum(max(row.output_tokens - 1, 0) for row in requests.answered) > MOST_GAPS


def _spread_evenly(row: MeasuredRequest, *, every: bool) -> list[float]:
    if row.tpot_ms is None:
        return []
    gaps = row.output_tokens - 1
    return [row.tpot_ms] * gaps if every else [row.tpot_ms * gaps]
