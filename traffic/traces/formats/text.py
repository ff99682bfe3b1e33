"""Opening a trace file as text, packed by gzip or not: what can go wrong becomes one sentence."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from traffic.traces.words import TraceError

GZIP = b"\x1f\x8b"
"""What every file begins with that gzip made, and no text."""


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """UTF-8, with or without the byte-order mark that spreadsheets put in front; line ends untouched."""
    try:
        with path.open("rb") as raw:
            packed = raw.peek(len(GZIP))[: len(GZIP)] == GZIP
            plain = gzip.GzipFile(fileobj=raw) if packed else raw
            with TextIOWrapper(plain, encoding="utf-8-sig", newline="") as file:
                yield file
    except UnicodeDecodeError:
        raise TraceError(f"{path} is not a text file in UTF-8") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as problem:
        raise TraceError(f"{path} begins as what gzip makes, and is none: {problem}") from None
    except OSError as problem:
        raise TraceError(f"cannot read the trace {path}: {problem.strerror}") from None
