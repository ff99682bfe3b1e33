"""Reading a table of step times from CSV. Whatever is wrong becomes a sentence with file and line."""

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np

from hwmodels.calibrate.columns import Layout, TableError, layout
from hwmodels.calibrate.step_table import StepTable

APART = ("hardware", "system", "model", "backend", "backend_version", "gemm_quant", "weights")
"""Columns that tell one accelerator, LLM or engine from another: a fit is for one of each."""
MOST_CHUNKS = 4096


class _BadValueError(Exception):
    """What is wrong with a row, without its place."""


class Step(NamedTuple):
    step_ms: float
    decodes: float
    kv_tokens: float
    dense_ms: float | None
    chunks: list[tuple[float, float, float]]
    """(new tokens, tokens before, sequences)"""


class _Row:
    """The fields of one line under our names."""

    def __init__(self, fields: list[str], columns: Layout) -> None:
        self._fields, self._places, self._factors = fields, columns.places, columns.factors

    def has(self, name: str) -> bool:
        return name in self._places

    def numbers(self, name: str) -> list[float]:
        """Of a cell with one number, or with several between semicolons."""
        return [_number(name, part) for part in self._fields[self._places[name]].split(";")]

    def number(self, name: str) -> float:
        return _number(name, self._fields[self._places[name]])

    def ms(self, name: str) -> float:
        time = self.number(name) * self._factors[name]
        if time <= 0:
            raise _BadValueError(f"{name} is {time:g}: a step takes more than no time")
        return time

    def count(self, name: str) -> float:
        number = self.number(name)
        if number != int(number):
            raise _BadValueError(f"{name} is {number:g}: expected a whole number")
        return number


def read_step_table(
    path: Path, columns: Mapping[str, str] | None = None, where: Mapping[str, str] | None = None
) -> StepTable:
    """`columns` maps our names to the file's, `where` keeps rows whose column has this text.

    Raises:
        TableError: the file, a row, or what it lacks.

    """
    lines = _lines(path)
    _, header = next(lines, (1, []))
    columns_of = layout(path, header, columns or {}, where or {})
    apart = {name: header.index(name) for name in APART if name in header}
    seen: dict[str, str] = {}
    steps = []
    for line, fields in lines:
        if len(fields) != len(header):
            raise TableError(f"{path} line {line}: {len(fields)} fields, the header has {len(header)}")
        if not columns_of.keeps(fields):
            continue
        for name, place in apart.items():
            if seen.setdefault(name, fields[place]) != fields[place]:
                raise TableError(
                    f"{path} line {line}: {name} is {fields[place]!r} here and {seen[name]!r} above, and a"
                    f" law holds for one of them: choose with --where {name}=..."
                )
        try:
            steps.append(_step(_Row(fields, columns_of)))
        except _BadValueError as problem:
            raise TableError(f"{path} line {line}: {problem}") from None
    if not steps:
        raise TableError(f"{path}: no rows{' that --where keeps' if where else ''}")
    return step_table(path.name, steps)


def _step(row: _Row) -> Step:
    chunks, decodes = _chunks(row), row.count("n_decode")
    per_sequence = None if row.has("kv_decode_total") else row.number("kv_decode")
    kv_tokens = row.number("kv_decode_total") if per_sequence is None else decodes * per_sequence
    if not chunks and not decodes:
        raise _BadValueError("a step of no tokens: neither prompt tokens nor decoding sequences")
    dense_ms = row.ms("dense_ms") if row.has("dense_ms") else None
    return Step(row.ms("iteration_ms"), decodes, kv_tokens if decodes else 0.0, dense_ms, chunks)


def _chunks(row: _Row) -> list[tuple[float, float, float]]:
    count = row.count("n_prefill") if row.has("n_prefill") else 1.0
    if row.has("prefill_chunk"):
        new = row.numbers("prefill_chunk")
    else:
        total = row.number("new_tokens_total")
        if total and not count:
            raise _BadValueError(f"new_tokens_total is {total:g}, but n_prefill is 0")
        new = [total / count if count else 0.0]
    past = row.numbers("kv_prefill")
    if len(past) != len(new) or len(new) > MOST_CHUNKS:
        raise _BadValueError(f"{len(new)} prompt chunks, but kv_prefill has {len(past)} numbers")
    return [(n, p, count) for n, p in zip(new, past, strict=True) if n and count]


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise _BadValueError(f"{name} is {text!r}: expected a number") from None
    if not isfinite(number) or number < 0:
        raise _BadValueError(f"{name} is {text}: expected a number from 0 on")
    return number


def step_table(name: str, steps: list[Step]) -> StepTable:
    chunks = [(index, *chunk) for index, step in enumerate(steps) for chunk in step.chunks]
    per_chunk = np.array(chunks, dtype=np.float64).reshape(len(chunks), 4)
    dense = [step.dense_ms for step in steps if step.dense_ms is not None]
    return StepTable(
        name=name,
        step_ms=np.array([step.step_ms for step in steps]),
        decodes=np.array([step.decodes for step in steps]),
        kv_tokens=np.array([step.kv_tokens for step in steps]),
        dense_ms=np.array(dense) if dense else None,
        chunk_step=per_chunk[:, 0].astype(np.int64),
        chunk_new=per_chunk[:, 1],
        chunk_past=per_chunk[:, 2],
        chunk_count=per_chunk[:, 3],
    )


# The file


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and fields, the header first; blank lines are skipped."""
    with _open(path) as file:
        reader = csv.reader(file, skipinitialspace=True, strict=True)
        try:
            for fields in reader:
                if fields:
                    yield reader.line_num, [field.strip() for field in fields]
        except csv.Error as problem:
            raise TableError(f"{path} line {reader.line_num}: not CSV ({problem})") from None


@contextmanager
def _open(path: Path) -> Iterator[TextIO]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file
    except UnicodeDecodeError:
        raise TableError(f"{path} is not a text file in UTF-8") from None
    except OSError as problem:
        raise TableError(f"cannot read {path}: {problem.strerror}") from None
