"""Requests that a real server answered, with what was measured of each."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite, nan
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from e80sim.mistakes import UserError
from sim.time.units import PS_PER_MS

FloatArray = NDArray[np.float64]

MS_PER_UNIT = {"ms": 1.0, "s": 1e3, "us": 1e-3}
COLUMNS = {
    "prompt": ("input_toks", "prompt_tokens", "input_tokens"),
    "output": ("output_toks", "output_tokens"),
    "arrival": ("arrival_s", "arrival_ms"),
}
"""What is needed, and the names under which files have it."""
METRICS = ("ttft", "tpot", "e2e")
"""Measured columns, each with its unit behind it (`ttft_ms`); at least one."""


class RecordedError(UserError):
    """A sentence that names the file, and the line where there is one."""


@dataclass(frozen=True, slots=True, eq=False)
class RecordedRequests:
    """In the order of the file; times count from the first arrival."""

    name: str
    arrival_ps: tuple[int, ...]
    prompt_tokens: tuple[int, ...]
    output_tokens: tuple[int, ...]
    measured_ms: Mapping[str, FloatArray]
    """By metric; not a number where a request has none."""

    def __len__(self) -> int:
        return len(self.arrival_ps)

    @property
    def longest_tokens(self) -> int:
        return max(p + o for p, o in zip(self.prompt_tokens, self.output_tokens, strict=True))


def read_recorded(path: Path) -> RecordedRequests:
    """Raises RecordedError for a file or a row that cannot be used."""
    header, lines = _lines(path)
    needed = {what: _named(path, header, what, names) for what, names in COLUMNS.items()}
    metrics = _metric_columns(path, header)
    arrivals, prompts, outputs = [], [], []
    measured: dict[str, list[float]] = {metric: [] for metric in metrics}
    for line, fields in lines:
        row = _Row(path, line, dict(zip(header, fields, strict=False)))
        if len(fields) != len(header):
            raise row.error(f"{len(fields)} fields, the header has {len(header)}")
        arrivals.append(row.ms(needed["arrival"]))
        prompts.append(row.tokens(needed["prompt"]))
        outputs.append(row.tokens(needed["output"]))
        for metric, column in metrics.items():
            measured[metric].append(row.measured_ms(column))
    if not arrivals:
        raise RecordedError(f"{path} holds no requests")
    first = min(arrivals)
    return RecordedRequests(
        path.name,
        tuple(round((ms - first) * PS_PER_MS) for ms in arrivals),
        tuple(prompts),
        tuple(outputs),
        {metric: np.array(values) for metric, values in measured.items()},
    )


class _Row:
    def __init__(self, path: Path, line: int, fields: Mapping[str, str]) -> None:
        self._where = f"{path} line {line}"
        self._fields = fields

    def error(self, what: str) -> RecordedError:
        return RecordedError(f"{self._where}: {what}")

    def tokens(self, column: str) -> int:
        text = self._fields[column]
        tokens = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
        if tokens < 1:
            raise self.error(f"{column} is {text!r}, expected a whole number of tokens from 1 on")
        return tokens

    def ms(self, column: str) -> float:
        text = self._fields[column]
        try:
            number = float(text)
        except ValueError:
            raise self.error(f"{column} is {text!r}, expected a time") from None
        if not isfinite(number) or number < 0:
            raise self.error(f"{column} is {text}, expected a time from 0 on")
        return number * MS_PER_UNIT[column.rpartition("_")[2]]

    def measured_ms(self, column: str) -> float:
        """Not a number where there is none, or none to compare with: a share of 0 ms means nothing."""
        return (self.ms(column) or nan) if self._fields[column] else nan


def _lines(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header, then line numbers and fields of what follows; blank lines are skipped."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(_numbered(path, file))
    except UnicodeDecodeError:
        raise RecordedError(f"{path} is not a text file in UTF-8") from None
    except OSError as problem:
        raise RecordedError(f"cannot read {path}: {problem.strerror}") from None
    return (rows[0][1], rows[1:]) if rows else ([], [])


def _numbered(path: Path, file: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(file, strict=True)
    try:
        for fields in reader:
            if fields:
                yield reader.line_num, [field.strip() for field in fields]
    except csv.Error as problem:
        raise RecordedError(f"{path} line {reader.line_num}: not CSV ({problem})") from None


def _named(path: Path, header: list[str], what: str, names: tuple[str, ...]) -> str:
    found = next((name for name in names if name in header), None)
    if found is None:
        raise RecordedError(
            f"{path} line 1: no column for the {what}: name one {' or '.join(names)};"
            f" the header is {','.join(header)[:200]!r}"
        )
    return found


def _metric_columns(path: Path, header: list[str]) -> dict[str, str]:
    columns = {
        metric: f"{metric}_{unit}"
        for unit in MS_PER_UNIT
        for metric in METRICS
        if f"{metric}_{unit}" in header
    }
    if not columns:
        raise RecordedError(
            f"{path} line 1: nothing measured to compare with: add ttft_ms, tpot_ms or e2e_ms"
        )
    return {metric: columns[metric] for metric in METRICS if metric in columns}
