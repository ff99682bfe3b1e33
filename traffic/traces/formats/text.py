"""Opening a trace file as text: what can go wrong becomes one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from traffic.traces.trace import TraceError


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """UTF-8, with or without the byte-order mark that spreadsheets put in front; line ends untouched."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file
    except UnicodeDecodeError:
        raise TraceError(f"{path} is not a text file in UTF-8") from None
    except OSError as problem:
        raise TraceError(f"cannot read the trace {path}: {problem.strerror}") from None
