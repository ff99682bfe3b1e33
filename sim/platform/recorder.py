"""Collects the rows of a run's tables as plain integers; text is stored as codes into lists of labels."""

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from struct import Struct, error
from tempfile import TemporaryFile
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from reports.record import Column

LATEST_PS = 2**63 - 1
"""106 days. A run and its drain end before. What is under way then may be meant to arrive later, after
jitter of a long tail or a long queue for a thin line: it is recorded as arriving at the latest instant."""
FLUSH_ROWS = 8192
"""Rows held one by one before they become an array: bytes, as many small ints would cost numpy three times as
long to take in, and five times the memory."""


class Labels:
    """Codes for the values of the label columns, in the order in which they were first seen."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._codes: dict[str, dict[str, int]] = {c.name: {} for c in columns if c.kind == "label"}

    def codes(self, **labels: str) -> tuple[int, ...]:
        """One code per column named, in the order in which they are named."""
        found = []
        for column, label in labels.items():
            known = self._codes[column]
            found.append(known.setdefault(label, len(known)))
        return tuple(found)

    def of(self, column: str) -> dict[str, int]:
        """Those of one column that are known so far, and all that come."""
        return self._codes[column]

    def vocabulary(self) -> dict[str, list[str]]:
        return {column: list(codes) for column, codes in self._codes.items()}


Block: TypeAlias = NDArray[np.int64]
"""Rows of a table."""


class Blocks(Protocol):
    """Where a table keeps the rows that it no longer holds one by one."""

    def append(self, block: Block) -> None: ...

    def kept(self) -> list[Block]:
        """In the order in which they came."""
        ...


class AllBlocks:
    """In memory: what a run is summarised from."""

    def __init__(self) -> None:
        self._blocks: list[Block] = []

    def append(self, block: Block) -> None:
        self._blocks.append(block)

    def kept(self) -> list[Block]:
        return self._blocks


class RecentBlocks:
    """The last few: a server that nobody asked to record stays as large as it is."""

    def __init__(self, most: int = 1) -> None:
        self._blocks: deque[Block] = deque(maxlen=most)

    def append(self, block: Block) -> None:
        self._blocks.append(block)

    def kept(self) -> list[Block]:
        return list(self._blocks)


class SpooledBlocks:
    """In a file without a name, on the disk of `folder`: it goes when the process does."""

    def __init__(self, folder: Path) -> None:
        self.problem: OSError | None = None
        """Why nothing more is kept, such as a full disk."""
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115 -- lives as long as the table
        self._rows = 0

    def append(self, block: Block) -> None:
        if self.problem is not None:
            return
        try:
            self._file.write(block.data)
            self._file.flush()
        except OSError as error:  # the model goes on; whoever reads the table looks at `problem` first
            self.problem = error
        else:
            self._rows += len(block)

    def kept(self) -> list[Block]:
        self._file.seek(0)
        whole = np.frombuffer(self._file.read(), np.int64)
        self._file.seek(0, 2)
        return [whole.reshape(self._rows, -1)] if self._rows else []

    def close(self) -> None:
        self._file.close()


class Recorder:
    """One table. `add` takes a row in the order of `columns`, labels as their codes."""

    def __init__(self, columns: Sequence[Column], blocks: Blocks | None = None) -> None:
        self.columns = columns
        self.labels = Labels(columns)
        self._pack = Struct(f"={len(columns)}q").pack
        self._rows: list[bytes] = []
        self._blocks = blocks or AllBlocks()

    def keep_in(self, blocks: Blocks) -> None:
        """From here on; to be asked for before there are any rows."""
        assert not self._rows
        self._blocks = blocks

    def add(self, row: tuple[int, ...]) -> None:
        pack = self._pack
        try:
            packed = pack(*row)
        except error:
            packed = pack(*(min(value, LATEST_PS) for value in row))
        self._rows.append(packed)
        if len(self._rows) == FLUSH_ROWS:
            self._flush()

    def _flush(self) -> None:
        block = self.held()
        self._rows.clear()
        self._blocks.append(block)

    def held(self) -> Block:
        """The rows that no array has yet."""
        flat = np.frombuffer(bytearray().join(self._rows), np.int64)
        return flat.reshape(-1, len(self.columns))

    def arrays(self, order_by: str) -> dict[str, NDArray[np.int64]]:
        """The columns by name of the rows that are kept, sorted by the column `order_by`."""
        blocks = [*self._blocks.kept(), self.held()]
        names = [column.name for column in self.columns]
        # Each column in one piece: to gather one out of rows costs twice as much.
        columns: Block = np.empty((len(names), sum(map(len, blocks))), np.int64)
        first = 0
        for block in blocks:
            columns[:, first : first + len(block)] = block.T
            first += len(block)
        order = np.argsort(columns[names.index(order_by)], kind="stable")
        return {name: column[order] for name, column in zip(names, columns, strict=True)}
