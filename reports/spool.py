"""The rows of a long table while it grows: parts on the disk, put in order at the end.

Rows come as things end and stand in a table by number. Nobody knows how far the two orders are apart: one
request may stay for the whole run. So a part remembers how many of its rows lie in which range of numbers,
and at the end each range is gathered from the few parts that have any of it.
"""

import ctypes
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from e80sim.mistakes import UserError
from reports import arrow
from reports.record import LARGE, Column
from reports.stored import FilePart, StoredTable, TableFile
from reports.tables import KEYS, table_of

FIRST_ROWS = LARGE
"""Rows that are held before any go to the disk: shorter tables never do."""
PART_ROWS = 1 << 16
"""Rows that are held from then on before they become a file: 19 MB of the widest table."""
RANGES = 16
"""In how many of equal width the first part is counted; all other parts are counted in these."""
PARTIAL = ".partial"
"""The suffix of a file that is being written."""
KEPT_PARTS = 3
"""Parts that are held at a time while rows are put in order."""

Block = NDArray[np.int64]
Vocabulary = Callable[[], Mapping[str, Sequence[str]]]


class _Part(NamedTuple):
    file: Path
    ranges: dict[int, int]
    """How many rows it has by range of numbers."""


class Spool:
    """One table of one replication. `append` takes rows in the order in which they come."""

    def __init__(
        self,
        folder: Path,
        name: str,
        key: tuple[str, int],
        columns: Sequence[Column],
        vocabulary: Vocabulary,
        order_by: str = "number",
    ) -> None:
        """`folder` is made for the first part; `key` is the variant and the replication.

        `vocabulary` tells what the codes of labels stand for so far: codes stay what they are.
        """
        self._folder, self._name, self._key = folder_of(folder, *key), name, key
        self._columns, self._vocabulary = columns, vocabulary
        self._order = [column.name for column in columns].index(order_by)
        self._blocks: list[Block] = []
        self._rows = 0
        self._parts: list[_Part] = []
        self._width = 1

    @property
    def on_disk(self) -> bool:
        return bool(self._parts)

    def append(self, block: Block) -> None:
        """Raises UserError where a part cannot be written."""
        self._blocks.append(block)
        self._rows += len(block)
        if self._rows >= PART_ROWS and (self._parts or self._rows > FIRST_ROWS):
            self._write_part()

    def kept(self) -> list[Block]:
        """The rows that are not in a part."""
        return self._blocks

    def finish(self, rest: Block) -> StoredTable:
        """All rows and `rest`, which came last, by number: a table in a file of its own."""
        if len(rest):
            self._blocks.append(rest)
        if self._blocks:
            self._write_part()
        file = self._folder / f"{self._name}.parquet"
        names = self._vocabulary()
        rows = 0
        hidden = file.with_suffix(PARTIAL)
        with TableFile(hidden, (*KEYS, *self._columns)) as whole:
            for block in self._in_order():
                whole.write(self._table(block, names))
                rows += len(block)
        hidden.rename(file)
        for part in self._parts:
            part.file.unlink()
        _give_back()
        return StoredTable((FilePart(file, 0, rows, whole=True),))

    def _table(self, block: Block, names: Mapping[str, Sequence[str]]) -> pa.Table:
        of = {column.name: np.ascontiguousarray(block[:, i]) for i, column in enumerate(self._columns)}
        return table_of(self._columns, *self._key, of, names)

    def _write_part(self) -> None:
        block = _sorted(np.concatenate(self._blocks), self._order)
        self._blocks, self._rows = [], 0
        try:
            file = self._written(block)
        except OSError as error:
            raise UserError(
                f"the rows of the run cannot be written to {self._folder}: {error.strerror or error}; "
                "what was written before is there"
            ) from None
        values = block[:, self._order]
        if not self._parts:
            self._width = max(1, int(values[-1] - values[0]) // RANGES)
        ranges, counts = np.unique(values // self._width, return_counts=True)
        self._parts.append(_Part(file, dict(zip(ranges.tolist(), counts.tolist(), strict=True))))

    def _written(self, block: Block) -> Path:
        if not self._parts:
            self._begin()
        file = self._folder / f"{self._name}-{len(self._parts):05}.parquet"
        hidden = file.with_suffix(PARTIAL)
        with TableFile(hidden, (*KEYS, *self._columns)) as whole:
            whole.write(self._table(block, self._vocabulary()))
        hidden.rename(file)
        return file

    def _begin(self) -> None:
        """Without what a try of the same replication left that was lost with its process."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for left in self._folder.glob(f"{self._name}*"):
            left.unlink()

    def _in_order(self) -> Iterator[Block]:
        held: OrderedDict[int, Block] = OrderedDict()
        for first, last in _spans(self._parts):
            found = []
            for number, part in enumerate(self._parts):
                if not any(first <= one <= last for one in part.ranges):
                    continue
                if number not in held:
                    held[number] = self._read(part.file)
                    if len(held) > KEPT_PARTS:
                        held.popitem(last=False)
                held.move_to_end(number)
                edges = [first * self._width, (last + 1) * self._width]
                begin, end = np.searchsorted(held[number][:, self._order], edges)
                found.append(held[number][begin:end])
            yield _sorted(np.concatenate(found), self._order)

    def _read(self, file: Path) -> Block:
        """Codes of labels stay what they are, so those of the file are those of the table."""
        with pq.ParquetFile(file, page_checksum_verification=True) as part:  # `read_table` loads much more
            table = part.read(use_threads=False).combine_chunks()
        block = np.empty((table.num_rows, len(self._columns)), np.int64)
        for i, column in enumerate(self._columns):
            block[:, i] = arrow.to_numpy(table[column.name].chunk(0))
        return block


def folder_of(folder: Path, variant: str, replication: int) -> Path:
    """Of what is kept of one replication."""
    return folder / f"{quote(variant, safe='')}.{replication}"


def _spans(parts: Sequence[_Part]) -> Iterator[tuple[int, int]]:
    """First and last of neighbouring ranges that have at most as many rows together as are read together."""
    counts: Counter[int] = Counter()
    for part in parts:
        counts.update(part.ranges)
    first, last, rows = -1, -1, 0
    for one in sorted(counts):
        if rows and rows + counts[one] > PART_ROWS:
            yield first, last
            rows = 0
        if not rows:
            first = one
        last, rows = one, rows + counts[one]
    if rows:
        yield first, last


def _give_back() -> None:
    """Memory that is free between blocks in use goes back to the system, where the C library knows how.

    Putting rows in order takes a quarter of a gigabyte, half of which would stay with the process.
    """
    with suppress(OSError, TypeError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _sorted(block: Block, column: int) -> Block:
    return block[np.argsort(block[:, column], kind="stable")]
