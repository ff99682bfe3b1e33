"""Into how many pieces the prompts of requests are divided, by the tokens that a step has room for."""

from bisect import bisect_left, insort

import numpy as np

from reports.arrays import Floats


class Chunks:
    """Of prompts of these `sizes`, of which each is its share of all; by room, each division made once.

    More room divides no prompt further. So where two rooms give as many pieces in all, each prompt has as
    many under both, and under any room between them: who closes in on one soon asks for nothing new.
    """

    def __init__(self, sizes: Floats, shares: Floats) -> None:
        self._sizes, self._shares = sizes, shares
        self._undivided = max(1.0, float(sizes.max()))
        """From so much room on, every prompt is one piece."""
        self._rooms = list[float]()
        """Sorted."""
        self._known = dict[float, tuple[float, float]]()
        """Room -> pieces of all prompts, and the mean."""

    @property
    def divisions(self) -> int:
        """That were made."""
        return len(self._rooms)

    def mean(self, room: float) -> float:
        """Pieces of the prompt of one request, where a step holds `room` tokens, 1 or more."""
        room = min(room, self._undivided)
        if room not in self._known:
            at = bisect_left(self._rooms, room)
            if 0 < at < len(self._rooms):
                less, more = self._known[self._rooms[at - 1]], self._known[self._rooms[at]]
                if less[0] == more[0]:
                    return less[1]
            pieces = np.ceil(self._sizes / room)
            self._known[room] = float(pieces.sum()), float((self._shares * pieces).sum())
            insort(self._rooms, room)
        return self._known[room][1]
