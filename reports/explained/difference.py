"""In a sentence: what a p99 request of a source has that a p50 request has not."""

from collections.abc import Callable, Mapping

from reports.explained.bands import MARKS, Band
from reports.words import duration, share

MOST_PARTS = 3
LEAST_SHARE = 0.05
"""Of the difference, for a phase to be named."""
LEAST_MARK = 0.1
"""By which shares of two bands must differ."""


def difference(bands: Mapping[str, Band], label: Callable[[str], str], slow: str = "p99") -> str:
    """Empty where one of the two bands has too few requests; `label` is how a phase is called."""
    if "p50" not in bands or slow not in bands:
        return ""
    usual, other = bands["p50"], bands[slow]
    more_s = other.mean_s - usual.mean_s
    if more_s <= 0:
        return ""
    head = f"A {slow} request takes {duration(more_s)} more than a p50 request"
    return f"{head}: {_parts(usual, other, more_s, label)}{_marks(usual, other)}."


def _parts(usual: Band, other: Band, more_s: float, label: Callable[[str], str]) -> str:
    grown = {name: other.phases[name] - usual.phases[name] for name in other.phases}
    largest = sorted(grown, key=lambda name: -grown[name])[:MOST_PARTS]
    named = [name for name in largest if grown[name] >= LEAST_SHARE * more_s]
    return ", ".join(f"{share(grown[name] / more_s)} of it {label(name).lower()}" for name in named)


def _marks(usual: Band, other: Band) -> str:
    told = [
        f"{share(other.marks[name])} {words} (of p50 requests {share(usual.marks[name])})"
        for name, words in MARKS.items()
        if name in other.marks and other.marks[name] - usual.marks[name] >= LEAST_MARK
    ]
    return f"; of these requests {' and '.join(told)}" if told else ""
