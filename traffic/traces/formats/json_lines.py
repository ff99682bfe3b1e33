"""A file with one JSON object per line, as rows with their line numbers."""

import json
from collections.abc import Iterator
from pathlib import Path

from traffic.traces.formats.fields import BadValueError, shortly
from traffic.traces.formats.text import open_text
from traffic.traces.words import TraceError

JsonRow = dict[str, object]


def json_lines(path: Path) -> Iterator[tuple[int, JsonRow]]:
    """Blank lines are skipped."""
    with open_text(path) as file:
        for line, text in enumerate(file, 1):
            if not text.strip():
                continue
            try:
                row = json.loads(text)
            except ValueError:
                raise TraceError(f"{path} line {line}: {shortly(text.strip())} is not JSON") from None
            if not isinstance(row, dict):
                raise TraceError(f"{path} line {line}: {shortly(row)} is not a JSON object")
            yield line, row


def required(row: JsonRow, key: str) -> object:
    if key not in row:
        raise BadValueError(f"{key} is missing, there are {', '.join(row) or 'no keys'}")
    return row[key]
