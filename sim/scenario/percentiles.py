"""Whether a run is long enough for the percentiles that its scenario asks for."""

import math
from collections.abc import Iterator

from reports.sample_size import requests_needed
from sim.scenario.schema import RunPlan, Scenario, Source
from traffic.units import PS_PER_S


def too_rare(scenario: Scenario) -> Iterator[str]:
    """A sentence per source. Only about percentiles that the file states: nobody asked for the others."""
    run = scenario.run
    if "percentiles" not in run.model_fields_set:
        return
    hardest = max(run.percentiles, key=lambda percentile: abs(percentile - 50))
    needed = requests_needed(hardest / 100)
    for name, source in scenario.traffic.items():
        arrivals_per_s = source.arrivals.mean_rate_per_s
        if arrivals_per_s is None:
            continue
        rate_per_s = arrivals_per_s * source.requests_per_arrival
        joined_per_s = rate_per_s * run.replications
        start_s, end_s = _window_s(run, source)
        expected = max(0.0, end_s - start_s) * joined_per_s
        if expected < needed:
            yield (
                f"a p{hardest:g} needs {needed:,} requests, and `{name}` sends about {expected:,.0f} "
                f"after the warm-up in {run.replications} replications: "
                + _remedy(source, start_s + needed / joined_per_s)
            )


def _window_s(run: RunPlan, source: Source) -> tuple[float, float]:
    """What counts of a replication, as far as the source sends in it."""
    start_s = run.stated_warm_up_s
    return start_s, min(run.horizon_s, _silent_from_s(source))


def _remedy(source: Source, horizon_s: float) -> str:
    if horizon_s > _silent_from_s(source):
        return "its trace is too short, so loop or resample it, or ask for a percentile nearer to the middle"
    return f"horizon_s must be {math.ceil(horizon_s):,} or more, or replications higher"


def _silent_from_s(source: Source) -> float:
    """A trace that is neither looped nor resampled has an end."""
    last_ps = source.arrivals.last_ps
    return math.inf if last_ps is None else last_ps / PS_PER_S
