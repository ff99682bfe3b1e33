"""How far simulated requests are from measured ones."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sim.validation.recorded import METRICS, FloatArray
from sim.validation.replay import Replayed

TITLES = {"ttft": "TTFT", "tpot": "TPOT", "e2e": "E2E"}
QUANTILES = (50, 90, 99)
"""In percent."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Of one metric over the requests that have it; errors are shares of the measured value."""

    metric: str
    requests: int
    measured_mean_ms: float
    simulated_mean_ms: float
    mape: float
    """Mean absolute percentage error, request by request."""
    median: float
    p95: float
    quantile_errors: tuple[float, ...]
    """Of `QUANTILES`: how far the quantile of the simulated times is from that of the measured ones."""

    @property
    def mean_error(self) -> float:
        """Of the mean over all requests, with its sign."""
        return self.simulated_mean_ms / self.measured_mean_ms - 1


def compare(replayed: Replayed) -> list[Comparison]:
    """A comparison for each metric that some request has on both sides; `left_out` names the others."""
    simulated, measured = replayed.simulated_ms, replayed.recorded.measured_ms
    return [
        comparison(metric, simulated[metric], measured[metric])
        for metric in METRICS
        if metric in measured and bool(np.isfinite(measured[metric] + simulated[metric]).any())
    ]


def left_out(replayed: Replayed) -> list[str]:
    """Why a metric that the file has a column for is not compared, a clause for each."""
    simulated, measured = replayed.simulated_ms, replayed.recorded.measured_ms
    told = []
    for metric in METRICS:
        if metric not in measured or np.isfinite(measured[metric] + simulated[metric]).any():
            continue
        if not np.isfinite(measured[metric]).any():
            told.append(f"no request has a measured {TITLES[metric]} above 0")
        else:
            told.append(f"no request with a measured {TITLES[metric]} has an answer of two tokens or more")
    return told


def comparison(metric: str, simulated: FloatArray, measured: FloatArray) -> Comparison:
    """Of those that are numbers on both sides, one at least."""
    both = np.isfinite(simulated) & np.isfinite(measured)
    simulated, measured = simulated[both], measured[both]
    errors = np.abs(simulated / measured - 1)
    quantiles = np.percentile(simulated, QUANTILES) / np.percentile(measured, QUANTILES) - 1
    return Comparison(
        metric=metric,
        requests=int(both.sum()),
        measured_mean_ms=float(measured.mean()),
        simulated_mean_ms=float(simulated.mean()),
        mape=float(errors.mean()),
        median=float(np.median(errors)),
        p95=float(np.percentile(errors, 95)),
        quantile_errors=tuple(quantiles.tolist()),
    )


def comparison_text(rows: Sequence[Comparison]) -> str:
    quantiles = (f"of p{quantile}" for quantile in QUANTILES)
    head = ("metric", "requests", "measured", "simulated", "of the mean", *quantiles, "MAPE", "median", "P95")
    return aligned([head, *(_cells(row) for row in rows)])


def aligned(lines: Iterable[tuple[str, ...]]) -> str:
    """Columns as wide as their widest cell, to the right."""
    lines = list(lines)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
    )


def _cells(row: Comparison) -> tuple[str, ...]:
    return (
        TITLES[row.metric],
        f"{row.requests:,}",
        f"{row.measured_mean_ms:,.2f} ms",
        f"{row.simulated_mean_ms:,.2f} ms",
        *(f"{100 * share:+.1f} %" for share in (row.mean_error, *row.quantile_errors)),
        *(f"{100 * share:.1f} %" for share in (row.mape, row.median, row.p95)),
    )


def client_wait_text(wait_ms: FloatArray) -> str:
    """Of a client that had as many requests under way as it may; in none of the times above it."""
    waited = wait_ms[wait_ms > 0]
    return (
        f"before they were sent {len(waited):,} of {len(wait_ms):,} requests waited at the client,"
        f" {waited.mean():,.2f} ms on average, {waited.max():,.2f} ms at most"
    )
