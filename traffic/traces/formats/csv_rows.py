"""A CSV file as rows of the columns that a format needs, found by their names in the header."""

import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from traffic.traces.formats.text import open_text
from traffic.traces.words import TraceError


class CsvRow(NamedTuple):
    line: int
    values: list[str]
    """In the order of the columns that were asked for."""


class CsvRows:
    """Rows below the header; the columns may stand anywhere among others. Raises TraceError."""

    def __init__(self, path: Path, columns: tuple[str, ...], limit_rows: int | None = None) -> None:
        self._path = path
        self._limit_rows = limit_rows
        self._lines = _lines(path)
        line, header = next(self._lines, (1, []))
        self._names = stripped(header)
        for column in columns:
            if self._names.count(column) != 1:
                what = "twice" if column in self._names else "nowhere"
                raise TraceError(
                    f"{path} line {line}: the header is {','.join(header)!r}, expected {','.join(columns)!r} "
                    f"among its columns, but {column!r} stands {what}"
                )
        self._places = [self._names.index(column) for column in columns]

    def __iter__(self) -> Iterator[CsvRow]:
        for line, fields in islice(self._lines, self._limit_rows):
            if len(fields) != len(self._names):
                has = f"{','.join(fields)[:80]!r} has {len(fields)} columns"
                raise TraceError(f"{self._path} line {line}: {has}, expected {len(self._names)}")
            yield CsvRow(line, [fields[place] for place in self._places])

    @property
    def notes(self) -> list[str]:
        unread = [name for place, name in enumerate(self._names) if place not in self._places]
        return [f"Columns not read: {', '.join(unread)}."] if unread else []


def header_names(line: str) -> list[str]:
    """Of a file that begins with this line; empty where it is not CSV."""
    try:
        return stripped(next(csv.reader([line]), []))
    except csv.Error:
        return []


def stripped(header: list[str]) -> list[str]:
    return [name.strip(' "') for name in header]


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and fields, the header first; blank lines are skipped."""
    with open_text(path) as file:
        reader = csv.reader(file)
        line = 1  # where a row starts: a quote left open would end it many lines below
        try:
            for fields in reader:
                if fields:
                    yield line, fields
                line = reader.line_num + 1
        except csv.Error as problem:
            raise TraceError(f"{path} line {line}: not CSV ({problem})") from None
