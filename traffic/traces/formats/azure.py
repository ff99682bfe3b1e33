"""Azure's LLM inference traces of 2023 and 2024: one CSV row per request, stamped to 100 ns or 1 us.

Columns and origin: github.com/Azure/AzurePublicDataset, AzureLLMInferenceDataset2023.md and -2024.md.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from operator import add
from pathlib import Path

from traffic.traces.formats.clean_csv import OddError, clean_rows, require_plain
from traffic.traces.formats.csv_rows import CsvRows
from traffic.traces.formats.fields import BadValueError, tokens
from traffic.traces.trace import MAX_SPAN_PS, Trace, TraceError, TraceRows
from traffic.units import PS_PER_S

COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
_STAMP = re.compile(r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)(?:\.(\d{1,12}))?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_ROW = re.compile(
    r"^(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)(?:\.(\d{1,12}))?,(\d{1,8}),(\d{1,8})\r?$", re.ASCII | re.MULTILINE
)
"""As the published files have it."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_azure_csv(path: Path, limit_rows: int | None = None) -> Trace:
    try:
        return _at_once(path, limit_rows)
    except OddError:
        return row_by_row(path, limit_rows)


def _at_once(path: Path, limit_rows: int | None) -> Trace:
    """Raises OddError for what `row_by_row` may know to read, and how to refuse."""
    at_ps, prompts, outputs, first = list[int](), list[int](), list[int](), ""
    for rows in clean_rows(path, COLUMNS, _ROW, limit_rows):
        seconds, fractions, of_prompts, of_outputs = zip(*rows, strict=True)
        first = first or f"{seconds[0]}{fractions[0] and '.'}{fractions[0]}"
        try:
            whole_ps = [_second(second, "Z") * PS_PER_S for second in seconds]
        except BadValueError:
            raise OddError from None
        parts_ps = (int(fraction.ljust(12, "0")) for fraction in fractions)
        at_ps.extend(map(add, whole_ps, parts_ps))
        prompts.extend(map(int, of_prompts))
        outputs.extend(map(int, of_outputs))
    require_plain(at_ps, prompts, outputs)
    if at_ps[-1] - at_ps[0] > MAX_SPAN_PS:
        raise OddError
    whole = TraceRows(path)
    whole.fill(first, at_ps, prompts, outputs)
    return whole.trace()


def row_by_row(path: Path, limit_rows: int | None = None) -> Trace:
    """Whatever people do to such files. Raises TraceError, with the line."""
    rows, table = TraceRows(path), CsvRows(path, COLUMNS, limit_rows)
    for line, (stamp, prompt, output) in table:
        try:
            rows.add(line, stamp, _stamp_ps(stamp), tokens(COLUMNS[1], prompt), tokens(COLUMNS[2], output))
        except BadValueError as problem:
            raise TraceError(f"{path} line {line}: {problem}") from None
    return rows.trace(table.notes)


def azure_csv(trace: Trace) -> Iterator[str]:
    """A file whose first row is at the start of 1970; with seven digits, or twelve where they are needed."""
    digits = 12 if (trace.arrival_ps % 100_000).any() else 7
    yield ",".join(COLUMNS)
    for at_ps, prompt, output in trace:
        seconds, fraction_ps = divmod(at_ps, PS_PER_S)
        stamp = f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S}.{fraction_ps:012d}"
        yield f"{stamp[: 20 + digits]},{prompt},{output}"


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
