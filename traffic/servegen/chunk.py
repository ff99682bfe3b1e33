"""The two files of a client: `chunk-N-trace.csv` without a header, and `chunk-N-dataset.json`.

A window without requests has an empty pattern; one of the dataset without any has no lengths.
"""

import ast
import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from e80sim.mistakes import UserError
from traffic.spec import MAX_TOKENS

FIELDS = ("input_tokens", "output_tokens")
COLUMNS = 6
Pdf = dict[int, float]


@dataclass(frozen=True, slots=True)
class Window:
    start_s: int
    rate_per_s: float
    cv: float


@dataclass(frozen=True, slots=True)
class Chunk:
    windows: tuple[Window, ...]
    """In order; the last is as long as the one before it."""
    lengths: Mapping[int, tuple[Pdf, Pdf]]
    """From when on -> how likely each prompt and each answer is; only where there are any."""

    def lengths_at(self, start_s: int) -> tuple[Pdf, Pdf] | None:
        """Those that hold at a time: the latest that had begun."""
        begun = [begin for begin in self.lengths if begin <= start_s]
        return self.lengths[max(begun)] if begun else None


def read_chunk(trace: Path, dataset: Path) -> Chunk:
    """Raises UserError."""
    windows = _windows(trace)
    if len(windows) < 2:
        raise UserError(f"{trace} has {len(windows)} windows, and two at least say how long one is")
    return Chunk(tuple(windows), _lengths(dataset))


def _windows(path: Path) -> list[Window]:
    found: list[Window] = []
    for number, fields in enumerate(csv.reader(_text(path).splitlines()), 1):
        if not fields:
            continue
        where = f"{path} line {number}"
        if len(fields) != COLUMNS:
            raise UserError(
                f"{where}: {len(fields)} columns, expected {COLUMNS}: start, rate, cv, pattern and two"
            )
        start_s, rate, cv = (
            _number(where, name, text) for name, text in zip(("start", "rate", "cv"), fields, strict=False)
        )
        if found and start_s <= found[-1].start_s:
            raise UserError(
                f"{where}: window {start_s:g} follows {found[-1].start_s}, but windows are in order"
            )
        found.append(Window(int(start_s), rate if fields[3] else 0.0, cv))
    return found


def _number(where: str, name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise UserError(f"{where}: {name} is {text!r}, expected a number") from None
    if not isfinite(number) or number < 0:
        raise UserError(f"{where}: {name} is {text}, expected a number from 0 on")
    return number


def _lengths(path: Path) -> dict[int, tuple[Pdf, Pdf]]:
    try:
        document = json.loads(_text(path))
        windows = {int(start_s): [fields[name] for name in FIELDS] for start_s, fields in document.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(
            f"{path} is no dataset of ServeGen: windows by their start, each with {' and '.join(FIELDS)}"
        ) from None
    found = {}
    for start_s, texts in windows.items():
        prompt, output = (_pdf(f"{path} window {start_s}", text) for text in texts)
        if prompt and output:
            found[start_s] = prompt, output
    if not found:
        raise UserError(f"{path} has no lengths in any window")
    return found


def _pdf(where: str, text: object) -> Pdf:
    """A Python dictionary in a string: length -> probability. A length of 0 asks or answers nothing."""
    try:
        pdf = ast.literal_eval(str(text))
        assert isinstance(pdf, dict)
        found = {int(length): float(share) for length, share in pdf.items()}
    except (ValueError, SyntaxError, TypeError, AssertionError, MemoryError, RecursionError):
        raise UserError(
            f"{where}: {str(text)[:60]!r} is no dictionary of lengths and probabilities"
        ) from None
    for length, share in found.items():
        if not 0 <= length <= MAX_TOKENS or not 0 <= share < float("inf"):
            raise UserError(f"{where}: {length}: {share} is no length with a probability")
    return {length: share for length, share in sorted(found.items()) if length and share}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path} is not a text file in UTF-8") from None
    except OSError as problem:
        raise UserError(f"cannot read {path}: {problem.strerror}") from None


def chunk_files(
    windows: Sequence[tuple[Window, float]], lengths: Mapping[int, tuple[Pdf, Pdf]]
) -> tuple[str, str]:
    """The texts of both files; beside a window the mean of its gaps in s. Patterns are Gamma's."""
    rows = []
    for window, gap_s in windows:
        if not window.rate_per_s:
            rows.append(f"{window.start_s},0,0,,0,0")
            continue
        shape = 1 / window.cv**2 if window.cv else 0.0
        pattern = f"Gamma,{shape!r},{gap_s / shape if shape else 0.0!r}"
        rows.append(f"{window.start_s},{window.rate_per_s!r},{window.cv!r},{pattern}")
    dataset = {
        str(start_s): {name: repr(pdf) for name, pdf in zip(FIELDS, pdfs, strict=True)}
        for start_s, pdfs in lengths.items()
    }
    return "\n".join(rows) + "\n", json.dumps(dataset, indent=2) + "\n"
