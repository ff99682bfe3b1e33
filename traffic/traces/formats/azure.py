"""Azure's LLM inference traces of 2023 and 2024: one CSV row per request, stamped to 100 ns or 1 us.

Columns and origin: github.com/Azure/AzurePublicDataset, AzureLLMInferenceDataset2023.md and -2024.md.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from traffic.spec import MAX_TOKENS
from traffic.traces.formats.clean_csv import OddError, clean_rows
from traffic.traces.formats.csv_rows import CsvRows
from traffic.traces.formats.fields import BadValueError, tokens
from traffic.traces.trace import MAX_SPAN_PS, Trace, TraceRows
from traffic.traces.words import TraceError
from traffic.units import PS_PER_S, IntArray

COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
_SECOND = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d", re.ASCII)
_STAMP = re.compile(rf"({_SECOND.pattern})(?:\.(\d{{1,12}}))?(Z|[+-]\d\d:\d\d)?", re.ASCII)
SECOND_WIDTH = len("2023-11-16 18:15:46")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_azure_csv(path: Path, limit_rows: int | None = None) -> Trace:
    try:
        return _at_once(path, limit_rows)
    except OddError:
        return row_by_row(path, limit_rows)


def _at_once(path: Path, limit_rows: int | None) -> Trace:
    """Raises OddError for what `row_by_row` may know to read, and how to refuse."""
    blocks, first = [], ""
    for stamp, prompt, output in clean_rows(path, COLUMNS, limit_rows):
        first = first or bytes(stamp.text[stamp.begin[0] : stamp.end[0]]).decode()
        seconds, fraction = stamp.split(SECOND_WIDTH)
        blocks.append((_seconds(seconds), fraction.fractions(12), prompt.digits(8), output.digits(8)))
    if not blocks:
        raise OddError
    second, part_ps, prompts, outputs = (np.concatenate(column) for column in zip(*blocks, strict=True))
    if (np.diff(second) < 0).any() or int(second[-1] - second[0]) >= MAX_SPAN_PS // PS_PER_S:
        raise OddError
    after_ps = (second - second[0]) * PS_PER_S + (part_ps - part_ps[0])
    if (np.diff(after_ps) < 0).any() or any(
        not 1 <= n.min() <= n.max() <= MAX_TOKENS for n in (prompts, outputs)
    ):
        raise OddError
    return TraceRows(path).filled(
        first, int(second[0]) * PS_PER_S + int(part_ps[0]), after_ps, prompts, outputs
    )


def _seconds(texts: NDArray[np.bytes_]) -> IntArray:
    """Since 1970; neighbouring rows mostly share theirs. Raises OddError for what is none."""
    first = np.flatnonzero(np.concatenate([[True], texts[1:] != texts[:-1]]))
    told = [text.decode() for text in texts[first].tolist()]
    if not all(map(_SECOND.fullmatch, told)):
        raise OddError
    try:
        seconds = [_second(text, "Z") for text in told]
    except BadValueError:
        raise OddError from None
    return np.repeat(np.array(seconds, np.int64), np.diff(first, append=len(texts)))


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
