"""Rows of a CSV file in which nothing is odd, as arrays of bytes: thirty times as fast as row by row.

What is odd, be it right or wrong, is left to the reader that goes row by row, and knows what to say of it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from traffic.traces.formats.text import open_text
from traffic.traces.words import TraceError
from traffic.units import IntArray

BLOCK = 2**20
"""Characters at a time, and a row to its end."""
COMMA, LINE_END, RETURN, POINT, ZERO = b",\n\r.0"


class OddError(Exception):
    """Something is there that only the other reader understands."""


class Field(NamedTuple):
    """One column of some rows: where the text has the value of each."""

    text: NDArray[np.uint8]
    begin: IntArray
    end: IntArray

    def digits(self, most: int) -> IntArray:
        """Of whole numbers of at most so many digits. Raises OddError for anything else."""
        width = self.end - self.begin
        if width.min() < 1 or width.max() > most:
            raise OddError
        found = np.zeros(len(width), np.int64)
        for place in range(int(width.max())):
            found += _digit(self.text, self.end - 1 - place, place < width) * 10**place
        return found

    def fractions(self, most: int) -> IntArray:
        """Digits behind a point, as multiples of 10^-most; of an empty value 0. Raises OddError."""
        width = self.end - self.begin - 1
        right = (self.text[self.begin] == POINT) & (width >= 1) & (width <= most)
        if not (right | (self.begin == self.end)).all():
            raise OddError
        found = np.zeros(len(width), np.int64)
        for place in range(int(width.max())):
            found += _digit(self.text, self.begin + 1 + place, place < width) * 10 ** (most - 1 - place)
        return found

    def split(self, width: int) -> tuple[NDArray[np.bytes_], "Field"]:
        """The first so many characters of each, and the rest. Raises OddError where one has fewer."""
        if (self.end - self.begin).min() < width:
            raise OddError
        windows = np.lib.stride_tricks.sliding_window_view(self.text, width)[self.begin]
        return windows.view(f"S{width}")[:, 0], self._replace(begin=self.begin + width)


def _digit(text: NDArray[np.uint8], places: IntArray, there: NDArray[np.bool_]) -> IntArray:
    """The digits at `places`, 0 where none is `there`."""
    found = text[np.where(there, places, 0)] - np.uint8(ZERO)  # wraps for what comes before a zero
    found[~there] = 0
    if found.max() > 9:
        raise OddError
    return found.astype(np.int64)


def clean_rows(path: Path, columns: tuple[str, ...], limit_rows: int | None) -> Iterator[list[Field]]:
    """Some rows after the other, each time a field for each of `columns`, which are all that there are.

    Raises OddError where the header is another, or a line has more commas or fewer.
    """
    left = limit_rows
    try:
        with open_text(path) as file:
            if file.readline(BLOCK).rstrip("\r\n") != ",".join(columns):
                raise OddError
            while block := file.read(BLOCK):
                block += file.readline(BLOCK)
                fields = _fields(block, len(columns), left)
                yield fields
                if left is not None and (left := left - len(fields[0].begin)) <= 0:
                    return
    except (TraceError, UnicodeEncodeError):
        raise OddError from None


def _fields(block: str, columns: int, most: int | None) -> list[Field]:
    text = np.frombuffer((block if block.endswith("\n") else f"{block}\n").encode("ascii"), np.uint8)
    ends = np.flatnonzero(text == LINE_END)
    commas = np.flatnonzero(text == COMMA)
    begins = np.concatenate([[0], ends[:-1] + 1])
    if len(commas) != (columns - 1) * len(ends):
        raise OddError
    between = commas.reshape(len(ends), columns - 1).T
    if ((between < begins) | (between > ends)).any():
        raise OddError
    ends = ends - (text[ends - 1] == RETURN)
    edges = zip([begins, *(between + 1)], [*between, ends], strict=True)
    return [Field(text, begin[:most], end[:most]) for begin, end in edges]
