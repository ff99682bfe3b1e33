"""Azure's LLM inference traces: one CSV row per request, stamped to 100 ns.

Columns and origin: github.com/Azure/AzurePublicDataset, AzureLLMInferenceDataset2023.md.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice
from pathlib import Path

from traffic.traces.csv_lines import columns_of, csv_lines
from traffic.traces.fields import BadValueError, tokens
from traffic.traces.trace import Trace, TraceError, TraceRows
from traffic.units import PS_PER_S

HEADER = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
_STAMP = re.compile(r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)(?:\.(\d{1,12}))?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def has_azure_header(first_line: str) -> bool:
    return tuple(columns_of(first_line)) == HEADER


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
            rows.add(line, stamp, _stamp_ps(stamp), tokens(HEADER[1], prompt), tokens(HEADER[2], output))
        except BadValueError as problem:
            raise TraceError(f"{path} line {line}: {problem}") from None
    return rows.trace()


def azure_csv(trace: Trace) -> Iterator[str]:
    """A file whose first row is at the start of 1970; with seven digits, or twelve where they are needed."""
    digits = 12 if (trace.arrival_ps % 100_000).any() else 7
    yield ",".join(HEADER)
    for at_ps, prompt, output in trace:
        seconds, fraction_ps = divmod(at_ps, PS_PER_S)
        stamp = f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S}.{fraction_ps:012d}"
        yield f"{stamp[: 20 + digits]},{prompt},{output}"


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and fields below the header."""
    lines = csv_lines(path)
    header = ",".join(next(lines, (1, []))[1])
    if not has_azure_header(header):
        raise TraceError(f"{path} line 1: the header is {header!r}, expected {','.join(HEADER)!r}")
    return lines


def _stamp_ps(text: str) -> int:
    """Picoseconds since 1970, with every digit of the fraction."""
    match = _STAMP.fullmatch(text.strip())
    if match is None:
        raise BadValueError(f"TIMESTAMP is {text!r}, expected the form 2023-11-16 18:15:46.6805900")
    second, fraction, zone = match.groups()
    return _second(second, zone or "Z") * PS_PER_S + int((fraction or "0").ljust(12, "0"))


@lru_cache(maxsize=16)  # neighbouring rows mostly share their second
def _second(text: str, zone: str) -> int:
    try:
        return (datetime.fromisoformat(text + zone) - _EPOCH) // timedelta(seconds=1)
    except ValueError as problem:
        raise BadValueError(f"TIMESTAMP {text!r} is no time of any day ({problem})") from None
