"""A run against measurements, in sentences: what the errors are of, and what else differs."""

from collections.abc import Iterator, Mapping
from typing import Any

from reports.words import change, number, share

Json = Mapping[str, Any]

TITLES = {"ttft": "TTFT", "tpot": "TPOT", "e2e": "E2E"}
MATCHING = {
    "order": "Requests match one for one, in their order: all {pairs:,} have the same sizes.",
    "size": "Requests match by size, the first of one size with the first of that size: {pairs:,} pairs of "
    "{simulated:,} simulated and {measured:,} measured.",
    "none": "Requests do not match one for one: the figures are of {simulated:,} simulated and {measured:,} "
    "measured requests, each side as a whole.",
}
QUANTITIES = {
    "requests": "requests",
    "failed": "failed",
    "requests_per_s": "sent a second",
    "mean_input_tokens": "mean prompt, tokens",
    "mean_output_tokens": "mean answer, tokens",
    "answered_per_s": "answered a second",
    "output_tokens_per_s": "output tokens a second",
}
ASKED = ("requests_per_s", "mean_input_tokens", "mean_output_tokens")
MANIFOLD = 10.0
OTHER = 0.05
"""Where rates or lengths differ by more, errors say as much of that as of the model."""


def against_answer(found: Json) -> str:
    """How far the run's means are off, and request by request where these match."""
    errors = [_error(one) for one in found["metrics"]]
    told = ", ".join(errors) or "nothing to compare"
    return f"Against {found['measured']} the run's means are off by: {told}."


def _error(one: Json) -> str:
    each = one["by_request"]
    mape = f" (MAPE {share(each['mape'])})" if each else ""
    return f"{TITLES[one['metric']]} {off(one['mean_error'])}{mape}"


def off(error: float) -> str:
    """By how much something is too large or too small: −12 %, 46 times, 0 %."""
    return change(error) or "0 %"


def against_remarks(found: Json) -> Iterator[str]:
    yield MATCHING[found["matching"]["how"]].format(**found["matching"])
    read, kept = found["replications_read"], found["replications"]
    if len(kept) < read:
        numbers = ", ".join(str(number) for number in kept)
        yield f"So do they in replication {numbers} of {read}; the others are left out."
    elif read > 1:
        yield (
            f"Simulated figures are of {read} replications; the interval of a mean's error is of the "
            "simulation alone, since the file is one measurement."
        )
    differing = [_asked(one) for one in found["asked"] if _differs(one)]
    if differing:
        yield f"Warning: they were not asked the same, and errors are of that, too: {', '.join(differing)}."
    yield from found["notes"]
    for left_out in found["left_out"]:
        yield f"Not compared: {left_out}"


def _differs(one: Json) -> bool:
    return one["quantity"] in ASKED and one["error"] is not None and abs(one["error"]) > OTHER


def _asked(one: Json) -> str:
    return f"{QUANTITIES[one['quantity']]} {number(one['simulated'])} and not {number(one['measured'])}"
