"""What a trace is like: figures of its arrivals and lengths. Nothing is fitted.

Windows count from the first row; an incomplete last one is left out. Variances are those of the recorded
values themselves (divided by n).
"""

from collections.abc import Iterator
from typing import TypedDict

import numpy as np

from traffic.traces.trace import Trace
from traffic.units import PS_PER_S, FloatArray, IntArray

DISPERSION_WINDOWS_S = (1, 10, 60)
FEWEST_WINDOWS = 10
"""From fewer counts a variance tells nothing."""
FEWEST_TICKS = 10
"""Of a coarse clock in a window, or in a mean gap: below that it is the spreading of its ticks that shows."""
MANY_ZERO_GAPS = 0.2
"""Azure's two traces of 2023 have none and a Poisson stream of 100/s stamped to the ms has 5 %."""
QUANTILES = {"p5": 5, "p25": 25, "p50": 50, "p75": 75, "p90": 90, "p95": 95, "p99": 99}


class LengthSummary(TypedDict):
    mean: float
    cv: float
    min: int
    quantiles: dict[str, float]
    max: int


class Description(TypedDict):
    """Null where the trace is too short, or its clock too coarse, to tell."""

    name: str
    rows: int
    span_s: float
    mean_rate_per_s: float | None
    cv_of_gaps: float | None
    cv_within_minutes: float | None
    dispersion: dict[str, float | None]
    busiest_minute_over_mean: float | None
    zero_gap_share: float
    clock_tick_s: float | None
    prompt_tokens: LengthSummary
    output_tokens: LengthSummary
    log_length_correlation: float | None
    warnings: list[str]


def describe(trace: Trace) -> Description:
    span_s, rows = trace.span_ps / PS_PER_S, trace.rows
    minutes = window_counts(trace, 60)
    return {
        "name": trace.name,
        "rows": rows,
        "span_s": span_s,
        "mean_rate_per_s": (rows - 1) / span_s if span_s else None,
        "cv_of_gaps": _cv(np.diff(trace.arrival_ps)) if _shows_gaps(trace) else None,
        "cv_within_minutes": cv_within_windows(trace, 60) if _shows_gaps(trace) else None,
        "dispersion": {f"{window_s}_s": _dispersion(trace, window_s) for window_s in DISPERSION_WINDOWS_S},
        "busiest_minute_over_mean": float(minutes.max() / 60 * span_s / rows) if len(minutes) else None,
        "zero_gap_share": _zero_gap_share(trace),
        "clock_tick_s": trace.tick_ps / PS_PER_S or None,
        "prompt_tokens": _lengths(trace.prompt_tokens),
        "output_tokens": _lengths(trace.output_tokens),
        "log_length_correlation": _correlation(np.log(trace.prompt_tokens), np.log(trace.output_tokens)),
        "warnings": list(_warnings(trace)),
    }


def window_counts(trace: Trace, window_s: int) -> IntArray:
    """Arrivals in each complete window."""
    window_ps = window_s * PS_PER_S
    complete = trace.span_ps // window_ps
    inside = trace.arrival_ps[trace.arrival_ps < complete * window_ps]
    return np.bincount(inside // window_ps, minlength=complete)


def cv_within_windows(trace: Trace, window_s: int) -> float | None:
    """Of the gaps inside one, the median over complete windows with three arrivals or more."""
    counts = window_counts(trace, window_s)
    if not len(counts):
        return None
    ends = np.cumsum(counts)
    windows = np.split(trace.arrival_ps[: ends[-1]], ends[:-1])
    found = [_cv(np.diff(window)) for window in windows if len(window) > 2 and window[0] < window[-1]]
    return float(np.median(found)) if found else None


def _cv(gaps: IntArray) -> float:
    return float(gaps.std() / gaps.mean())


def _shows_gaps(trace: Trace) -> bool:
    """There are gaps, and they are not made by spreading."""
    return trace.span_ps > 0 and trace.span_ps >= FEWEST_TICKS * trace.tick_ps * (trace.rows - 1)


def _dispersion(trace: Trace, window_s: int) -> float | None:
    """Variance over mean: 1 for a Poisson process, whatever the window."""
    counts = window_counts(trace, window_s)
    if len(counts) < FEWEST_WINDOWS or window_s * PS_PER_S < FEWEST_TICKS * trace.tick_ps:
        return None
    return float(counts.var() / counts.mean())


def _zero_gap_share(trace: Trace) -> float:
    return float((np.diff(trace.stamp_ps) == 0).mean()) if trace.rows > 1 else 0.0


def _lengths(tokens: IntArray) -> LengthSummary:
    return {
        "mean": float(tokens.mean()),
        "cv": float(tokens.std() / tokens.mean()),
        "min": int(tokens.min()),
        "quantiles": {name: float(np.percentile(tokens, level)) for name, level in QUANTILES.items()},
        "max": int(tokens.max()),
    }


def _correlation(a: FloatArray, b: FloatArray) -> float | None:
    """None where one of them never varies."""
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else None


def _warnings(trace: Trace) -> Iterator[str]:
    share = _zero_gap_share(trace)
    if share <= MANY_ZERO_GAPS:
        return
    if not trace.tick_ps:
        yield (
            f"{share:.0%} of the gaps are zero: a coarse clock, or requests written down in batches. "
            f"Replayed as they are, those rows arrive as bursts."
        )
        return
    yield (
        f"{share:.0%} of the gaps are zero: the stamps stand on a grid of about "
        f"{trace.tick_ps / PS_PER_S:.3g} s. Rows of one stamp are spread evenly until the next; figures that "
        f"would tell of this spreading, and not of the callers, are left out."
    )
