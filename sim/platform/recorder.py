"""Collects the rows of a run's tables as plain integers; text is stored as codes into lists of labels."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from reports.record import Column

FLUSH_ROWS = 8192
"""Rows held as tuples before they become an array: Python integers cost five times the memory."""


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

    def vocabulary(self) -> dict[str, list[str]]:
        return {column: list(codes) for column, codes in self._codes.items()}


class Recorder:
    """One table. `add` takes a row in the order of `columns`, labels as their codes."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = columns
        self.labels = Labels(columns)
        self._rows: list[tuple[int, ...]] = []
        self._blocks: list[NDArray[np.int64]] = []

    def add(self, row: tuple[int, ...]) -> None:
        self._rows.append(row)
        if len(self._rows) == FLUSH_ROWS:
            self._flush()

    def _flush(self) -> None:
        width = len(self.columns)
        flat = np.fromiter(chain.from_iterable(self._rows), np.int64, len(self._rows) * width)
        self._blocks.append(flat.reshape(-1, width))
        self._rows.clear()

    def arrays(self, order_by: str) -> dict[str, NDArray[np.int64]]:
        """The columns by name, rows sorted by the column `order_by`."""
        self._flush()
        block = np.concatenate(self._blocks)
        names = [column.name for column in self.columns]
        block = block[np.argsort(block[:, names.index(order_by)], kind="stable")]
        return {name: np.ascontiguousarray(block[:, i]) for i, name in enumerate(names)}
