"""Azure's LLM inference traces: one CSV row per request, stamped to 100 ns.

Columns and origin: github.com/Azure/AzurePublicDataset, AzureLLMInferenceDataset2023.md.
"""

import csv
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice
from pathlib import Path

from traffic.spec import MAX_TOKENS
from traffic.traces.text import open_text
from traffic.traces.trace import Trace, TraceError, TraceRows
from traffic.units import PS_PER_S

HEADER = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
_STAMP = re.compile(r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)(?:\.(\d{1,12}))?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def has_azure_header(first_line: str) -> bool:
    return tuple(name.strip(' "') for name in first_line.split(",")) == HEADER


def read_azure_csv(path: Path, limit_rows: int | None = None) -> Trace:
    rows = TraceRows(path)
    for line, fields in islice(_rows(path), limit_rows):
        if len(fields) != len(HEADER):
            text = ",".join(fields)[:80]
            raise TraceError(
                f"{path} line {line}: {text!r} has {len(fields)} columns, expected {len(HEADER)}"
            )
        try:
            stamp, prompt, output = fields
            rows.add(line, stamp, _stamp_ps(stamp), _tokens(HEADER[1], prompt), _tokens(HEADER[2], output))
        except _BadValueError as problem:
            raise TraceError(f"{path} line {line}: {problem}") from None
    return rows.trace()


class _BadValueError(Exception):
    """What is wrong with one value, without its place."""


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and fields below the header; blank lines are skipped."""
    with open_text(path) as file:
        reader = csv.reader(file)
        line = 1  # where a row starts: a quote left open would end it many lines below
        try:
            _check_header(path, next(reader, []))
            line = reader.line_num + 1
            for fields in reader:
                if fields:
                    yield line, fields
                line = reader.line_num + 1
        except csv.Error as problem:
            raise TraceError(f"{path} line {line}: not CSV ({problem})") from None


def _check_header(path: Path, fields: list[str]) -> None:
    found, wanted = ",".join(fields), ",".join(HEADER)
    if not has_azure_header(found):
        raise TraceError(f"{path} line 1: the header is {found!r}, expected {wanted!r}")


def _tokens(column: str, text: str) -> int:
    text = text.strip()
    tokens = int(text) if text.isascii() and text.isdecimal() and len(text) <= 20 else 0
    if not 1 <= tokens <= MAX_TOKENS:
        raise _BadValueError(f"{column} is {text!r}, expected a whole number from 1 to {MAX_TOKENS}")
    return tokens


def _stamp_ps(text: str) -> int:
    """Picoseconds since 1970, with every digit of the fraction."""
    match = _STAMP.fullmatch(text.strip())
    if match is None:
        raise _BadValueError(f"TIMESTAMP is {text!r}, expected the form 2023-11-16 18:15:46.6805900")
    second, fraction, zone = match.groups()
    return _second(second, zone or "Z") * PS_PER_S + int((fraction or "0").ljust(12, "0"))


@lru_cache(maxsize=16)  # neighbouring rows mostly share their second
def _second(text: str, zone: str) -> int:
    try:
        return (datetime.fromisoformat(text + zone) - _EPOCH) // timedelta(seconds=1)
    except ValueError as problem:
        raise _BadValueError(f"TIMESTAMP {text!r} is no time of any day ({problem})") from None
