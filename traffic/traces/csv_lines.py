"""A CSV file as rows with their line numbers."""

import csv
from collections.abc import Iterator
from pathlib import Path

from traffic.traces.text import open_text
from traffic.traces.trace import TraceError


def csv_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line, fields), the header first; blank lines are skipped, but a header must be in line 1."""
    with open_text(path) as file:
        reader = csv.reader(file)
        line = 1  # where a row starts: a quote left open would end it many lines below
        try:
            for fields in reader:
                if fields or line == 1:
                    yield line, fields
                line = reader.line_num + 1
        except csv.Error as problem:
            raise TraceError(f"{path} line {line}: not CSV ({problem})") from None


def columns_of(line: str) -> list[str]:
    """Names in a header, without quotes and spaces."""
    return [name.strip(' "') for name in line.split(",")]
