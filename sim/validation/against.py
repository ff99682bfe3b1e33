"""A run against what others measured, by the figures that `e80sim validate` gives of a replay.

Requests are those of the run as a load tool at the callers would have measured them, its warm-up included.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from e80sim.measured import MeasuredRequest, MeasuredRequests
from reports.exports.answers import columns_of_model, measured_of, require_replication
from reports.exports.spread import Totals, totals
from reports.run_directory import Run
from reports.statistics import Estimate, Samples, mean
from sim.validation.compare import TITLES, comparison
from sim.validation.matching import NONE, ORDER, SIZE, Matching, match
from sim.validation.measured_file import PERCENTS, MeasuredFile, Told
from sim.validation.recorded import METRICS, FloatArray, times_ms

Json = dict[str, Any]


@dataclass(frozen=True)
class Replication:
    """What a load tool would have measured in one replication of the run."""

    number: int
    requests: MeasuredRequests

    @cached_property
    def answered(self) -> Sequence[MeasuredRequest]:
        return self.requests.answered

    @cached_property
    def totals(self) -> Totals:
        return totals(self.requests)


def replications_of(
    run: Run, variant: str | None, model: str | None, replication: int | None
) -> list[Replication]:
    """All that were done, or the one that is asked for. Raises UserError."""
    if replication is not None:
        require_replication(run, replication)
    numbers = range(run.manifest["replications_done"]) if replication is None else (replication,)
    columns = columns_of_model(run, variant, model, tuple(numbers))
    return [
        Replication(number, measured_of(columns.take(columns["replication"] == number), "the run"))
        for number in numbers
    ]


def against(replications: Sequence[Replication], measured: MeasuredFile) -> Json:
    """How far the run is from one file: errors are shares of what was measured.

    Where some replications have the requests of the file, one for one, only those count.
    """
    matchings = [match(one.answered, measured.answered) for one in replications]
    how = next((how for how in (ORDER, SIZE) if any(one.how == how for one in matchings)), NONE)
    kept = [pair for pair in zip(replications, matchings, strict=True) if pair[1].how == how]
    sides = [one for one, _ in kept]
    metrics = [_metric(metric, kept, measured.told.get(metric)) for metric in METRICS]
    return {
        "measured": measured.name,
        "format": measured.format,
        "notes": list(measured.notes),
        "replications": [one.number for one in sides],
        "replications_read": len(replications),
        "matching": {
            "how": how,
            "pairs": sum(len(matching.pairs) for _, matching in kept),
            "simulated": sum(len(one.answered) for one in sides),
            "measured": len(measured.answered) or measured.requests - measured.failed,
        },
        "asked": list(_asked(sides, measured)),
        "metrics": [found for found in metrics if found is not None],
        "throughput": list(_throughput(sides, measured)),
        "left_out": list(_left_out(sides, measured)),
    }


def _metric(metric: str, kept: Sequence[tuple[Replication, Matching]], told: Told | None) -> Json | None:
    """None where one of the sides has no such time."""
    times = [times_ms(one.answered, metric) for one, _ in kept]
    numbers = np.repeat(np.arange(len(times)), [len(one) for one in times])
    samples = Samples.of(np.concatenate(times), numbers, range(len(times)), least=0.0)
    if told is None or not len(samples.values):
        return None
    found = mean(samples)
    assert isinstance(found, Estimate)
    ends = (found.low, found.high) if len(kept) > 1 else (None, None)  # of one there is but its own course
    low, high = (None if end is None else end / told.mean_ms - 1 for end in ends)
    return {
        "metric": metric,
        "requests": {"measured": told.requests, "simulated": len(samples.values)},
        "measured_mean_ms": told.mean_ms,
        "simulated_mean_ms": found.value,
        "mean_error": found.value / told.mean_ms - 1,
        "mean_error_low": low,
        "mean_error_high": high,
        "quantiles": list(_quantiles(samples.values, told)),
        "ks": None if told.values_ms is None else kolmogorov_smirnov(samples.values, told.values_ms),
        "by_request": _by_request(metric, kept, times, told),
    }


def _quantiles(simulated: FloatArray, told: Told) -> Iterator[Json]:
    for percent in PERCENTS:
        measured = told.quantiles_ms.get(percent)
        if measured:
            value = float(np.percentile(simulated, percent))
            yield {
                "percent": percent,
                "measured_ms": measured,
                "simulated_ms": value,
                "error": value / measured - 1,
            }


def kolmogorov_smirnov(one: FloatArray, other: FloatArray) -> float:
    """The largest distance between the two shares of requests that are at most as slow: 0 to 1.

    Of times in ms, to the microsecond: files round them, and what is equal must not count as different.
    """
    one, other = (np.sort(np.round(side[np.isfinite(side)], 3)) for side in (one, other))
    every = np.concatenate([one, other])
    shares = [np.searchsorted(side, every, side="right") / len(side) for side in (one, other)]
    return float(np.abs(shares[0] - shares[1]).max())


def _by_request(
    metric: str,
    kept: Sequence[tuple[Replication, Matching]],
    times: Sequence[FloatArray],
    told: Told,
) -> Json | None:
    """Over all pairs of all replications that are kept; None without any."""
    if told.values_ms is None:
        return None
    pairs = [np.array(matching.pairs, dtype=np.int64).reshape(-1, 2).T for _, matching in kept]
    simulated = np.concatenate([side[ours] for side, (ours, _) in zip(times, pairs, strict=True)])
    measured = np.concatenate([told.values_ms[theirs] for _, theirs in pairs])
    if not np.isfinite(simulated + measured).any():
        return None
    found = asdict(comparison(metric, simulated, measured))
    return {name: found[name] for name in ("requests", "mape", "median", "p95")}


def _asked(sides: Sequence[Replication], measured: MeasuredFile) -> Iterator[Json]:
    """What the two were asked, as means over replications: errors are also of what differs here."""
    ours = [one.totals for one in sides]
    yield _beside("requests", [of.answered + of.failed for of in ours], measured.requests)
    yield _beside("failed", [of.failed for of in ours], measured.failed)
    if measured.answered:
        first_to_last = [_rate([row.arrival_s for row in one.requests.rows]) for one in sides]
        yield _beside("requests_per_s", first_to_last, _rate(measured.arrivals_s))
        for name in ("input_tokens", "output_tokens"):
            theirs = [getattr(row, name) for row in measured.answered]
            mine = [np.mean([getattr(row, name) for row in one.answered]) for one in sides if one.answered]
            yield _beside(f"mean_{name}", mine, float(np.mean(theirs)))


def _rate(arrivals_s: Sequence[float]) -> float:
    """From the first to the last; 0 where all come at once."""
    return (len(arrivals_s) - 1) / arrivals_s[-1] if arrivals_s[-1] else 0.0


def _throughput(sides: Sequence[Replication], measured: MeasuredFile) -> Iterator[Json]:
    """From the first send to the last end."""
    ours = [one.totals for one in sides]
    yield _beside("answered_per_s", [of.answered / of.duration_s for of in ours], measured.answered_per_s)
    if measured.output_tokens_per_s is not None:
        tokens = [of.output_tokens / of.duration_s for of in ours]
        yield _beside("output_tokens_per_s", tokens, measured.output_tokens_per_s)


def _beside(quantity: str, simulated: Sequence[Any], measured: float) -> Json:
    value = float(np.mean(simulated))
    error = value / measured - 1 if measured else None
    return {"quantity": quantity, "simulated": value, "measured": measured, "error": error}


def _left_out(sides: Sequence[Replication], measured: MeasuredFile) -> Iterator[str]:
    for metric in METRICS:
        if metric not in measured.told:
            yield f"{TITLES[metric]}: {measured.name} does not tell it."
        elif not any(np.isfinite(times_ms(one.answered, metric)).any() for one in sides):
            yield f"{TITLES[metric]}: no request of the run has it; none was streamed, or all had one token."
