"""locust's PREFIX_stats.csv (2.47): a row for the requests of the model, and one for all of them.

Its own rounding of response times, to two significant digits above 100 ms, is not repeated.
"""

from collections.abc import Iterator

from e80sim.measured import MeasuredRequests
from reports.exports.answers import About
from reports.exports.spread import known, quantiles, totals

PERCENTS = (50, 66, 75, 80, 90, 95, 98, 99, 99.9, 99.99, 100)
HEAD = (
    "Type,Name,Request Count,Failure Count,Median Response Time,Average Response Time,Min Response Time,"
    "Max Response Time,Average Content Size,Requests/s,Failures/s"
)


def stats_csv(requests: MeasuredRequests, about: About) -> Iterator[str]:
    yield f"{HEAD},{','.join(f'{percent}%' for percent in PERCENTS)}"
    yield f"E2E,{about.model},{_figures(requests)}"
    yield f",Aggregated,{_figures(requests)}"


def _figures(requests: MeasuredRequests) -> str:
    of, times = totals(requests), known(row.e2e_ms for row in requests.answered)
    every = of.answered + of.failed
    content = of.output_tokens / max(of.answered, 1)
    mean, low, high = (times.mean(), times.min(), times.max()) if len(times) else (0.0, 0.0, 0.0)
    figures = [every, of.failed, quantiles(times, [50])[0], mean, low, high, content]
    figures += [every / of.duration_s, of.failed / of.duration_s, *quantiles(times, PERCENTS)]
    return ",".join(f"{figure:.12g}" for figure in figures)


def losses(requests: MeasuredRequests) -> Iterator[str]:
    yield "Average Content Size counts output tokens; response times are those of answered requests."
    if any(row.ttft_ms is not None for row in requests.rows):
        yield "locust's statistics have one time per request, the whole of it: TTFT and TPOT are left out."
