"""`hash_ids` of a trace: which prompts begin alike, block by block.

Equal ids at the start of two rows mean equal tokens there. Formats differ in the tokens of a block: 512 in
Mooncake's, 16 in Bailian's. The last id of a row stands for a block that need not be full.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from traffic.units import IntArray

MOONCAKE_BLOCK_TOKENS = 512
BAILIAN_BLOCK_TOKENS = 16


@dataclass(frozen=True, slots=True, eq=False)
class PrefixBlocks:
    """The arrays are read-only."""

    ids: NDArray[np.uint64]
    """Those of all rows, one row after the other."""
    starts: IntArray
    """Where the ids of each row begin, and where those of the last one end."""
    block_tokens: int

    def __post_init__(self) -> None:
        assert self.starts[-1] == len(self.ids), "every id belongs to a row"
        self.ids.flags.writeable = self.starts.flags.writeable = False

    def of_row(self, row: int) -> list[int]:
        """Empty where the file names none."""
        found: list[int] = self.ids[self.starts[row] : self.starts[row + 1]].tolist()
        return found

    def in_order(self, rows: IntArray) -> "PrefixBlocks":
        """Those of `rows`, in that order."""
        lengths = np.diff(self.starts)[rows]
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        places = np.arange(starts[-1]) + np.repeat(self.starts[rows] - starts[:-1], lengths)
        return PrefixBlocks(self.ids[places], starts, self.block_tokens)


class BlockRows:
    """Ids on their way into a `PrefixBlocks`, a row at a time."""

    def __init__(self, block_tokens: int) -> None:
        self._block_tokens = block_tokens
        self._ids = array("Q")
        self._starts = array("q", [0])

    def add(self, ids: Sequence[int]) -> None:
        self._ids.extend(ids)
        self._starts.append(len(self._ids))

    def blocks(self) -> PrefixBlocks | None:
        """None where no row has any."""
        if not self._ids:
            return None
        starts = np.array(self._starts, dtype=np.int64)
        return PrefixBlocks(np.array(self._ids, dtype=np.uint64), starts, self._block_tokens)


def mooncake_ids(blocks: PrefixBlocks | None, prompt_tokens: IntArray) -> Iterator[list[int]]:
    """One id for every 512 prompt tokens begun, as the tools that read Mooncake's format demand of each row.

    Ids of 512-token blocks stay as they are. Smaller blocks are joined: two joined blocks have one id where
    everything up to their end is alike. Where a row names too few, ids that stand nowhere else follow.
    """
    known = set() if blocks is None else set(blocks.ids.tolist())
    whole = blocks is not None and blocks.block_tokens == MOONCAKE_BLOCK_TOKENS
    unused = (number for number in count() if not whole or number not in known)
    joined = _JoinedBlocks(0 if blocks is None else blocks.block_tokens, unused)
    for row, tokens in enumerate(prompt_tokens.tolist()):
        named = [] if blocks is None else blocks.of_row(row)
        wanted = mooncake_blocks(tokens)
        ids = named[:wanted] if whole else joined.ids(named, tokens)
        yield [*ids, *(next(unused) for _ in range(wanted - len(ids)))]


def mooncake_blocks(prompt_tokens: int) -> int:
    return -(-prompt_tokens // MOONCAKE_BLOCK_TOKENS)


class _JoinedBlocks:
    """Numbers for blocks of 512 tokens that consist of smaller ones."""

    def __init__(self, block_tokens: int, unused: Iterator[int]) -> None:
        self._joins = can_join(block_tokens)
        self._each = MOONCAKE_BLOCK_TOKENS // block_tokens if self._joins else 1
        self._block_tokens = block_tokens
        self._unused = unused
        self._numbers: dict[tuple[int, int, tuple[int, ...]], int] = {}

    def ids(self, named: list[int], prompt_tokens: int) -> list[int]:
        """As far as `named` reaches. A block's number depends on those before it and on its tokens."""
        found: list[int] = []
        before = -1
        for start in range(0, prompt_tokens if self._joins else 0, MOONCAKE_BLOCK_TOKENS):
            tokens = min(MOONCAKE_BLOCK_TOKENS, prompt_tokens - start)
            first = start // self._block_tokens
            part = tuple(named[first : first + self._each])
            if len(part) < -(-tokens // self._block_tokens):
                break
            key = before, tokens, part
            if key not in self._numbers:
                self._numbers[key] = next(self._unused)
            before = self._numbers[key]
            found.append(before)
        return found


def can_join(block_tokens: int) -> bool:
    return block_tokens > 0 and MOONCAKE_BLOCK_TOKENS % block_tokens == 0
