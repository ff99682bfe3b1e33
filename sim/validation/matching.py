"""Which request of a run stands for which measured one: those that asked for the same, in order."""

from collections import defaultdict, deque
from collections.abc import Sequence
from typing import NamedTuple

from e80sim.measured import MeasuredRequest

ORDER, SIZE, NONE = "order", "size", "none"
LEAST = 0.9
"""Of the requests of either side: where fewer find one of their size, the two did not send the same."""


class Matching(NamedTuple):
    how: str
    pairs: Sequence[tuple[int, int]]
    """Places in the simulated and in the measured requests."""


def match(simulated: Sequence[MeasuredRequest], measured: Sequence[MeasuredRequest]) -> Matching:
    """Both in order of arrival.

    `order`: as many on both sides, the first of one with the first of the other, all of the same sizes.
    `size`: the k-th of one size with the k-th of that size, if nearly all find one. `none`: neither.
    """
    sizes = [[(row.input_tokens, row.output_tokens) for row in rows] for rows in (simulated, measured)]
    if not all(all(pair) for side in sizes for pair in side):
        return Matching(NONE, ())  # some tools do not know how long prompts were
    if sizes[0] == sizes[1]:
        return Matching(ORDER, [(place, place) for place in range(len(simulated))])
    pairs = _by_size(*sizes)
    if len(pairs) < LEAST * max(len(simulated), len(measured)):
        return Matching(NONE, ())
    return Matching(SIZE, pairs)


def _by_size(
    simulated: Sequence[tuple[int, int]], measured: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    waiting: dict[tuple[int, int], deque[int]] = defaultdict(deque)
    for place, size in enumerate(measured):
        waiting[size].append(place)
    return [(place, waiting[size].popleft()) for place, size in enumerate(simulated) if waiting[size]]
