"""Stop strings: where a text ends because of them, in tokens and in letters."""

from collections.abc import Sequence
from itertools import accumulate


def cut_at_stop(pieces: list[str], stops: Sequence[str], min_tokens: int) -> list[str] | None:
    """`pieces` up to the token that completes the earliest match, without the match and what follows it.

    None where there is no match. One that is complete within `min_tokens` tokens does not count.
    """
    text = "".join(pieces)
    ends = list(accumulate(map(len, pieces)))
    not_before = ends[min(min_tokens, len(ends)) - 1] if min_tokens and ends else 0
    found = []
    for stop in stops:
        at = text.find(stop, max(0, not_before - len(stop) + 1))
        if at >= 0:
            found.append((at + len(stop), at))
    if not found:
        return None
    end, keep = min(found)
    last = next(index for index, reached in enumerate(ends) if reached >= end)
    cut = pieces[: last + 1]
    for index, reached in enumerate(ends[: last + 1]):
        if reached > keep:
            start = reached - len(pieces[index])
            cut[index] = pieces[index][: max(0, keep - start)]
    return cut
