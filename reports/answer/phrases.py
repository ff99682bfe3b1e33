"""Pieces of sentences: percentages no sharper than their intervals, and variants by their titles."""

from collections.abc import Sequence
from math import ceil, floor

from reports.estimate import ShownEstimate
from reports.words import as_chosen, count, number, share

SHARP, FAIR = 0.1, 0.25
"""Half of an interval as a part of its value: up to there a number stands alone, up to there as `about`."""
POINT = 0.01
PREPOSITIONS = {
    *("across", "after", "at", "before", "behind", "beside", "between", "by", "far", "from", "in", "inside"),
    *("near", "next", "off", "on", "outside", "through", "to", "under", "upstream", "via", "with", "within"),
    "without",
}


def where(title: str) -> str:
    """`on the Edge`, `with 2 H100`: a title within a sentence."""
    first = title.split(" ", 1)[0].lower()
    return title[:1].lower() + title[1:] if first in PREPOSITIONS else f"with {title}"


def are_places(titles: Sequence[str]) -> bool:
    return all(title.split(" ", 1)[0].lower() in PREPOSITIONS for title in titles)


def per_cent(estimate: ShownEstimate) -> str:
    """The size of a share or a relative change: 61 %, about 12 %, 20 to 100 %. Its sign is the reader's."""
    assert estimate.value is not None
    value = abs(estimate.value)
    if estimate.low is None or estimate.high is None:
        return f"{_whole(value)} (no interval)"
    low, high = sorted((abs(estimate.low), abs(estimate.high)))
    if estimate.low <= 0.0 <= estimate.high:
        low = 0.0
    half = max(high - value, value - low)
    if half <= SHARP * value or (half <= POINT and value >= POINT):
        return _whole(value)
    if half <= FAIR * value:
        return f"about {_whole(value)}"
    return f"{floor(low * 100)} to {ceil(high * 100 - 1e-9):,} %"


def span(estimates: Sequence[ShownEstimate]) -> str:
    """Of changes in one direction, from the least to the most that their intervals hold: 24 to 31 % more."""
    ends = [abs(x) * 100 for e in estimates for x in (e.value, e.low, e.high) if x is not None]
    low, high = floor(min(ends)), ceil(max(ends) - 1e-9)
    return f"{low} to {high:,} % {'more' if (estimates[0].value or 0.0) > 0 else 'less'}"


def times(more: ShownEstimate) -> str:
    """What is so much more, as a multiple: 15.8 times, about 16 times, 9 to 23 times."""
    assert more.value is not None
    assert more.low is not None
    assert more.high is not None
    value, low, high = 1 + more.value, 1 + more.low, 1 + more.high
    half = max(high - value, value - low)
    if half <= FAIR * value:
        return f"{number(value)} times" if half <= SHARP * value else f"about {count(value)} times"
    return f"{floor(low)} to {ceil(high)} times"


def at_most(*estimates: ShownEstimate) -> str:
    """The end of the intervals that lies farthest from zero, rounded up."""
    ends = [abs(x) for e in estimates for x in (e.value, e.low, e.high) if x is not None]
    farthest = max(ends) * 100
    return f"{as_chosen(ceil(farthest - 1e-9) if farthest >= 1 else ceil(farthest * 10 - 1e-9) / 10)} %"


def listed(parts: Sequence[str], most: int = 4) -> str:
    """A, B and C; of many the first, and how many more."""
    if len(parts) > most:
        parts = [*parts[: most - 1], f"{len(parts) - most + 1} more"]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _whole(value: float) -> str:
    return f"{count(value * 100)} %" if value >= 0.1 else share(value)
