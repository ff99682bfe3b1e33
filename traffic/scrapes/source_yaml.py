"""Counted traffic as the `arrivals` and `lengths` of a source, to be put into a scenario."""

from collections.abc import Iterator, Sequence
from math import isfinite
from typing import Any

from e80sim.mistakes import UserError
from traffic.histogram_length import HistogramLength, fitted_within
from traffic.scrapes.counted import Counted, Histogram
from traffic.source_text import rounded, source_text

MOST_SEGMENTS = 500


def source_yaml(counted: Counted, longest_tokens: int | None) -> str:
    """UserError where requests lie beyond the last bucket and nobody says how long they can be."""
    seconds, requests = (sum(column) for column in zip(*counted.windows, strict=True))
    lengths = {
        "prompt": _length("prompt", counted.prompt, longest_tokens),
        "output": _length("output", counted.output, longest_tokens),
    }
    head = [
        f"{counted.model}: {requests:,.0f} requests ended in {seconds:,.6g} s, as vLLM counted them.",
        "Arrivals are taken for Poisson within a window: a scrape does not tell their gaps. It counts",
        "ends, so that a rise shows late by the time of an answer.",
    ]
    return source_text(head, _arrivals(counted.windows), lengths)


def _arrivals(windows: Sequence[tuple[float, float]]) -> dict[str, Any]:
    if len(windows) == 1:
        ((seconds, requests),) = windows
        return {"kind": "poisson", "rate_per_s": rounded(requests / seconds)}
    segments, until_s = [], 0.0
    for seconds, requests in _merged(windows):
        until_s += seconds
        segments.append({"until_s": rounded(until_s, 9), "rate_per_s": rounded(requests / seconds)})
    return {"kind": "modulated", "rate": {"kind": "piecewise", "repeat": True, "segments": segments}}


def _merged(windows: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Neighbours together, as many as leave no more than MOST_SEGMENTS."""
    each = -(-len(windows) // MOST_SEGMENTS)
    for begin in range(0, len(windows), each):
        part = windows[begin : begin + each]
        yield sum(seconds for seconds, _ in part), sum(requests for _, requests in part)


def _length(what: str, histogram: Histogram, longest_tokens: int | None) -> dict[str, Any]:
    edges = list(histogram.edges)
    if histogram.counts[-1] and longest_tokens is None:
        raise UserError(
            f"{histogram.counts[-1]:,.0f} of {histogram.requests:,.0f} {what}s are longer than the last "
            f"bucket, {edges[-2]:g} tokens: state --longest-tokens, the model's context"
        )
    if histogram.counts[-1] and longest_tokens is not None and longest_tokens <= edges[-2]:
        raise UserError(f"--longest-tokens {longest_tokens}: {what}s lie above {edges[-2]:g} tokens")
    if longest_tokens is not None:
        edges[-1] = longest_tokens
    pairs = [
        (round(edge), requests)
        for edge, requests in zip(edges, histogram.counts, strict=True)
        if isfinite(edge)
    ]
    buckets = [{"up_to": edge, "share": requests} for edge, requests in _needed(pairs)]
    mean = histogram.tokens / histogram.requests
    within = fitted_within(HistogramLength.model_validate({"buckets": buckets}), mean)
    return {"kind": "histogram", "within": rounded(within), "buckets": buckets}


def _needed(pairs: Sequence[tuple[int, float]]) -> Iterator[tuple[int, float]]:
    """Without empty buckets at both ends, but for the one that says where the first full one begins."""
    full = [place for place, (_, requests) in enumerate(pairs) if requests]
    yield from pairs[max(full[0] - 1, 0) : full[-1] + 1]
