"""The table of cells as files: CSV for people, Parquet for programs, JSON for both."""

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from reports.run_directory import replace_file
from reports.sweep.rows import Row

CSV, PARQUET, JSON = "cells.csv", "cells.parquet", "cells.json"


def names_of(rows: Iterable[Row]) -> list[str]:
    """Every column that any row has, in the order in which they first come; the key last."""
    names = dict.fromkeys(name for row in rows for name in row)
    names.pop("key", None)
    return [*names, "key"]


def write_tables(folder: Path, rows: Sequence[Row]) -> None:
    """All three, each whole or not at all. Raises RunDirectoryError."""
    names = names_of(rows)
    replace_file(folder / CSV, csv_text(rows, names))
    replace_file(folder / JSON, json.dumps(rows, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
    replace_file(folder / PARQUET, parquet_bytes(rows, names))


def csv_text(rows: Sequence[Row], names: Sequence[str]) -> str:
    """Empty where a row has no such number."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow([_plain(row.get(name)) for name in names])
    return sink.getvalue()


def parquet_bytes(rows: Sequence[Row], names: Sequence[str]) -> bytes:
    columns = {name: _column([row.get(name) for row in rows]) for name in names}
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())


def _column(values: Sequence[Any]) -> "pa.Array[Any]":
    """Numbers as such; what mixes kinds, or is neither number nor text, as text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int}:
        return pa.array(values, pa.int64())
    if kinds <= {int, float}:
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    return pa.array([None if value is None else str(_plain(value)) for value in values], pa.string())


def _plain(value: Any) -> Any:  # noqa: ANN401 -- a value of a scenario, or a number
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list | bool) else value
