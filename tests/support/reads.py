"""How much is read of the parquet files of long tables."""

from collections import Counter
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest


class Reads:
    """How many rows were read of which columns."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._told: Counter[str] = Counter()
        read = pq.ParquetFile.read_row_group

        def told(file: pq.ParquetFile, number: int, columns: list[str], **options: bool) -> pa.Table:
            found = read(file, number, columns, **options)
            self._told.update(dict.fromkeys(columns, found.num_rows))
            return found

        monkeypatch.setattr(pq.ParquetFile, "read_row_group", told)

    def of(self, look: Callable[[], object]) -> dict[str, int]:
        self._told.clear()
        look()
        return dict(self._told)
