"""How much a model thinks before it answers, and how wordy it is: tokens that cost time and are billed.

Assumed, all of it: published results say that the families of effort differ by factors, not by which.
"""

from functools import cache

REASONING_FAMILIES = ("gpt-oss",)
RATIO_OF_EFFORT = {
    "none": 0.0,
    "minimal": 0.125,
    "low": 0.25,
    "medium": 1.0,
    "high": 4.0,
    "xhigh": 8.0,
    "max": 16.0,
}
"""Reasoning tokens for each token of what is then said."""
DEFAULT_EFFORT = "medium"
FACTOR_OF_VERBOSITY = {"low": 0.5, "medium": 1.0, "high": 2.0}
"""On all that is said, of every model."""
DEFAULT_VERBOSITY = "medium"


def effort_of(llm: str, effort: str | None) -> str | None:
    """None for models that do not reason."""
    return (effort or DEFAULT_EFFORT) if llm.startswith(REASONING_FAMILIES) else None


@cache
def reasoning_ratio(llm: str, effort: str | None) -> float:
    effective = effort_of(llm, effort)
    return 0.0 if effective is None else RATIO_OF_EFFORT[effective]


@cache
def length_factor(llm: str, effort: str | None, verbosity: str | None = None) -> float:
    """What both make of an answer's whole length; the scenario's lengths are those of the defaults."""
    thought = (1 + reasoning_ratio(llm, effort)) / (1 + reasoning_ratio(llm, None))
    return thought * FACTOR_OF_VERBOSITY[verbosity or DEFAULT_VERBOSITY]
