"""A file of measured requests as objects with places: CSV, JSON, or JSON line by line."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from e80sim.measured.cells import Cells
from e80sim.measured.rows import MeasuredError

MOST_BYTES = 2 * 10**9
"""Read at once; larger files are refused."""


@dataclass(frozen=True, slots=True)
class ReadFile:
    path: Path
    objects: tuple[Cells, ...]
    """Rows of CSV, objects of a list or of lines, or the one object of a JSON file."""
    names: frozenset[str]
    """Columns of the header, or keys of the first object."""
    is_csv: bool
    header: tuple[str, ...] = ()

    def error(self, what: str) -> MeasuredError:
        return MeasuredError(f"{self.path}{' line 1' if self.is_csv else ''}: {what}")


def read_file(path: Path) -> ReadFile:
    """Raises MeasuredError."""
    text = _text(path)
    start = text.lstrip()[:1]
    if start in {"{", "["}:
        objects = tuple(_json_objects(path, text))
        names = frozenset(objects[0].values) if objects else frozenset()
        return ReadFile(path, objects, names, is_csv=False)
    rows = _csv_rows(path, text)
    _, header = next(rows, (1, []))
    objects = tuple(_csv_objects(path, header, rows))
    return ReadFile(path, objects, frozenset(header), is_csv=True, header=tuple(header))


def _text(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise MeasuredError(f"{path} has {size:,} bytes, and at most {MOST_BYTES:,} are read")
        with path.open(encoding="utf-8-sig", newline="") as file:
            return file.read()
    except UnicodeDecodeError:
        raise MeasuredError(f"{path} is not a text file in UTF-8") from None
    except OSError as problem:
        raise MeasuredError(f"cannot read {path}: {problem.strerror}") from None


def _json_objects(path: Path, text: str) -> Iterator[Cells]:
    try:
        whole = json.loads(text)
    except ValueError:
        yield from _json_lines(path, text)
        return
    for number, value in enumerate(whole if isinstance(whole, list) else [whole]):
        where = f"{path} [{number}]" if isinstance(whole, list) else str(path)
        if not isinstance(value, dict):
            raise MeasuredError(f"{where}: {str(value)[:60]!r} is not a JSON object")
        yield Cells(where, value)


def _json_lines(path: Path, text: str) -> Iterator[Cells]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError:
            raise MeasuredError(f"{path} line {number}: {line.strip()[:60]!r} is not JSON") from None
        if not isinstance(value, dict):
            raise MeasuredError(f"{path} line {number}: {line.strip()[:60]!r} is not a JSON object")
        yield Cells(f"{path} line {number}", value)


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and fields, the header first; blank lines are skipped."""
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    try:
        for fields in reader:
            if fields:
                yield reader.line_num, [field.strip() for field in fields]
    except csv.Error as problem:
        raise MeasuredError(f"{path} line {reader.line_num}: not CSV ({problem})") from None


def _csv_objects(path: Path, header: list[str], rows: Iterator[tuple[int, list[str]]]) -> Iterator[Cells]:
    for line, fields in rows:
        where = f"{path} line {line}"
        if len(fields) != len(header):
            raise MeasuredError(f"{where}: {len(fields)} fields, the header has {len(header)}")
        yield Cells(where, dict(zip(header, fields, strict=True)))
