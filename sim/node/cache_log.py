"""What a node looked up in its prefix cache, request by request, and what the best cache would have found.

Two bounds hold for whatever is found, by the same lookups in the same order. The ceiling: a cache without
end, which has all that was ever asked for. The optimum: Belady's, of as many blocks as the node has, which
gives up whatever is needed last again. Both have a prompt as soon as it is admitted, and the optimum has no
blocks taken by those who run: so no order of eviction reaches it quite.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import NamedTuple

from sim.node.cached_runs import Path

MOST_LOOKUPS = 100_000
"""Of a node; later ones are not counted."""
MOST_NAMED = 1000


Lookup = tuple[Path, int, int]
"""The path, its tokens (after a preemption those of the answer so far too), and how many of them were found.

Plain tuples of ints and texts, because the garbage collector leaves those alone and a log holds many.
"""


class CacheLog:
    """The admissions of one node."""

    def __init__(self) -> None:
        self.lookups: list[Lookup] = []

    def add(self, path: Path, tokens: int, found: int) -> None:
        if len(self.lookups) < MOST_LOOKUPS:
            self.lookups.append((path, tokens, found))


class Bound(NamedTuple):
    """Tokens that one lookup would have found."""

    optimum: int
    ceiling: int


class _Part(NamedTuple):
    """Of one run, by one lookup. All are numbers of blocks."""

    run: int
    first: int
    asked: int
    """It can be found up to here."""
    end: int
    """The sequence leaves the run here, and has left it there up to here afterwards."""


@dataclass(slots=True)
class _Use:
    """The blocks of one run that are worth keeping, and when they are asked for."""

    first: int
    at: list[int] = field(default_factory=list)
    """The lookups that ask for some of it."""
    upto: list[int] = field(default_factory=list)
    farther: list[int] = field(default_factory=list)
    """For each of those: the next one that asks for more."""
    most_from: list[int] = field(default_factory=list)
    """For each of those: the most that it or a later one asks for."""
    passed: int = 0
    """How many of them are over."""
    kept: int = 0
    there: int = 0
    version: int = 0

    def complete(self) -> None:
        self.kept = self.there = self.first
        count = len(self.at)
        self.farther, self.most_from = [count] * count, [0] * count
        waiting: list[int] = []
        for i, upto in enumerate(self.upto):
            while waiting and self.upto[waiting[-1]] < upto:
                self.farther[waiting.pop()] = i
            waiting.append(i)
        most = self.first
        for i in reversed(range(count)):
            most = self.most_from[i] = max(most, self.upto[i])

    def worth(self) -> int:
        """Blocks beyond this one nobody asks for any more."""
        return self.most_from[self.passed] if self.passed < len(self.at) else self.first

    def last_asked(self) -> tuple[int, int]:
        """The next lookup that asks for the last block kept, and the first block that no earlier one does."""
        i, before = self.passed, self.first
        while self.upto[i] < self.kept:
            before = self.upto[i]
            i = self.farther[i]
        return self.at[i], before


def bounds(lookups: Sequence[Lookup], blocks: int, block_size: int) -> list[Bound]:
    """Of each lookup, in their order."""
    parts = _parts(lookups, block_size)
    uses: dict[int, _Use] = {}
    for number, of_lookup in enumerate(parts):
        for part in of_lookup:
            use = uses.setdefault(part.run, _Use(part.first))
            if part.asked > part.first:
                use.at.append(number)
                use.upto.append(part.asked)
    for use in uses.values():
        use.complete()
    kept = _Kept(blocks)
    return [
        Bound(*(tokens * block_size for tokens in _looked_up(number, of_lookup, uses, kept)))
        for number, of_lookup in enumerate(parts)
    ]


class Found(NamedTuple):
    """Sums over the lookups of prompts that begin alike; tokens but for the first."""

    lookups: int
    tokens: int
    found: int
    optimum: int
    ceiling: int


def found_by_prefix(logs: Iterable[CacheLog], blocks: int, block_size: int) -> dict[str, Found]:
    """Of several nodes with caches of their own, by the name of what comes first in a prompt.

    Under the empty name are prompts that begin like no other, and all beyond the MOST_NAMED largest.
    """
    sums: defaultdict[str, list[int]] = defaultdict(lambda: [0] * len(Found._fields))
    for log in logs:
        best = bounds(log.lookups, blocks, block_size)
        for (path, tokens, found_tokens), bound in zip(log.lookups, best, strict=True):
            first, _ = path[0]
            name = first if isinstance(first, str) else ""
            for i, more in enumerate((1, tokens, found_tokens, *bound)):
                sums[name][i] += more
    largest = sorted(sums, key=lambda name: -sums[name][1])[:MOST_NAMED]
    rest = [values for name, values in sums.items() if name not in largest or not name]
    found = {name: Found(*sums[name]) for name in largest if name}
    if rest:
        found[""] = Found(*map(sum, zip(*rest, strict=True)))
    return found


def _parts(lookups: Sequence[Lookup], block_size: int) -> list[list[_Part]]:
    runs: defaultdict[tuple[int, Hashable, int], int] = defaultdict(lambda: len(runs))
    found = []
    for path, tokens, _ in lookups:
        most, run, start = (tokens - 1) // block_size, -1, 0
        of_lookup = []
        for name, stop in path:
            run, first, end = runs[run, name, start], start // block_size, stop // block_size
            of_lookup.append(_Part(run, first, min(end, most), end))
            start = stop
        found.append(of_lookup)
    return found


class _Kept:
    """What the optimum keeps: so many blocks in all, those that are asked for soonest."""

    def __init__(self, blocks: int) -> None:
        self.blocks = blocks
        self.total = 0
        self._last: list[tuple[int, int, int, int, _Use]] = []

    def keep(self, run: int, use: _Use, upto: int) -> None:
        self.total += upto - use.kept
        use.kept = upto
        self.look_at(run, use)

    def look_at(self, run: int, use: _Use) -> None:
        use.version += 1
        if use.kept > use.first:
            at, _ = use.last_asked()
            heappush(self._last, (-at, -use.first, run, use.version, use))

    def give_up(self) -> None:
        """Until what is kept fits. Of one lookup the last blocks go first."""
        while self.total > self.blocks:
            _, _, run, version, use = heappop(self._last)
            if version == use.version:
                _, before = use.last_asked()
                self.keep(run, use, max(before, use.kept - (self.total - self.blocks)))


def _looked_up(number: int, parts: list[_Part], uses: dict[int, _Use], kept: _Kept) -> tuple[int, int]:
    """Blocks found by the optimum and by the ceiling; afterwards they hold what this lookup leaves."""
    optimum = ceiling = 0
    in_optimum = in_ceiling = True
    for run, first, asked, end in parts:
        use = uses[run]
        if asked > first:
            if in_optimum:
                optimum = max(optimum, min(asked, use.kept))
            if in_ceiling:
                ceiling = max(ceiling, min(asked, use.there))
        in_optimum = in_optimum and min(asked, use.kept) >= end
        in_ceiling = in_ceiling and min(asked, use.there) >= end
    for run, _, _, end in parts:
        use = uses[run]
        if use.passed < len(use.at) and use.at[use.passed] == number:
            use.passed += 1
        use.there = max(use.there, end)
        kept.keep(run, use, max(use.first, min(use.worth(), max(use.kept, end))))
    kept.give_up()
    return optimum, ceiling
