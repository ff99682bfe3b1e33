"""What a trace is like: figures of its arrivals and lengths. Nothing is fitted.

Windows count from the first row; an incomplete last one is left out. Variances are those of the recorded
values themselves (divided by n).
"""

from typing import TypedDict

import numpy as np

from traffic.traces.spread import MANY_ZERO_GAPS, burst_warning, tick_ps, zero_gap_share
from traffic.traces.trace import Trace
from traffic.units import PS_PER_S, IntArray

DISPERSION_WINDOWS_S = (1, 10, 60)
FEWEST_WINDOWS = 10
"""From fewer counts a variance tells nothing."""
FEWEST_TICKS = 10
"""Of a coarse clock in a window, or in a mean gap: below that it is the clock that shows, not the callers."""
FEWEST_FOR_CORRELATION = 3
"""Two points always lie on a line."""
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
    zero_gap_share: float | None
    clock_tick_s: float | None
    prompt_tokens: LengthSummary
    output_tokens: LengthSummary
    log_length_correlation: float | None
    """Null with fewer than three rows, or where one of the lengths never varies."""
    notes: list[str]
    """What was done to the rows when they were read."""
    warnings: list[str]


def describe(trace: Trace) -> Description:
    span_s, rows = trace.span_ps / PS_PER_S, trace.rows
    minutes, clock_ps = window_counts(trace, 60), coarse_tick_ps(trace)
    shows_gaps = trace.span_ps > 0 and trace.span_ps >= FEWEST_TICKS * clock_ps * (rows - 1)
    warning = burst_warning(trace.arrival_ps)
    if not shows_gaps and clock_ps:
        warning += " Figures that would tell of this clock, and not of the callers, are left out."
    return {
        "name": trace.name,
        "rows": rows,
        "span_s": span_s,
        "mean_rate_per_s": (rows - 1) / span_s if span_s else None,
        "cv_of_gaps": _cv(np.diff(trace.arrival_ps)) if shows_gaps else None,
        "cv_within_minutes": cv_within_windows(trace, 60) if shows_gaps else None,
        "dispersion": {
            f"{window_s}_s": _dispersion(trace, window_s, clock_ps) for window_s in DISPERSION_WINDOWS_S
        },
        "busiest_minute_over_mean": float(minutes.max() / 60 * span_s / rows) if len(minutes) else None,
        "zero_gap_share": zero_gap_share(trace.arrival_ps),
        "clock_tick_s": clock_ps / PS_PER_S or None,
        "prompt_tokens": _lengths(trace.prompt_tokens),
        "output_tokens": _lengths(trace.output_tokens),
        "log_length_correlation": _log_correlation(trace.prompt_tokens, trace.output_tokens),
        "notes": list(trace.notes),
        "warnings": [warning] if warning else [],
    }


def coarse_tick_ps(trace: Trace) -> int:
    """Of the clock, where so many rows share a stamp that it shows; else 0."""
    many = (zero_gap_share(trace.arrival_ps) or 0.0) > MANY_ZERO_GAPS
    return tick_ps(trace.arrival_ps) if many else 0


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


def _cv(values: IntArray) -> float:
    """Exactly 0 where all are equal, which the rounded mean of large numbers would miss."""
    return 0.0 if _constant(values) else float(values.std() / values.mean())


def _constant(values: IntArray) -> bool:
    return bool(values.min() == values.max())


def _dispersion(trace: Trace, window_s: int, clock_ps: int) -> float | None:
    """Variance over mean: 1 for a Poisson process, whatever the window."""
    counts = window_counts(trace, window_s)
    if len(counts) < FEWEST_WINDOWS or window_s * PS_PER_S < FEWEST_TICKS * clock_ps:
        return None
    return float(counts.var() / counts.mean())


def _lengths(tokens: IntArray) -> LengthSummary:
    return {
        "mean": float(tokens.mean()),
        "cv": _cv(tokens),
        "min": int(tokens.min()),
        "quantiles": {name: float(np.percentile(tokens, level)) for name, level in QUANTILES.items()},
        "max": int(tokens.max()),
    }


def _log_correlation(a: IntArray, b: IntArray) -> float | None:
    if len(a) < FEWEST_FOR_CORRELATION or _constant(a) or _constant(b):
        return None
    return float(np.corrcoef(np.log(a), np.log(b))[0, 1])
