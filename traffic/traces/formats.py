"""The formats that traces come in. A new one is a reader and a line in the table."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from traffic.traces.azure import has_azure_header, read_azure_csv
from traffic.traces.text import open_text
from traffic.traces.trace import Trace, TraceError


class ReadTrace(Protocol):
    def __call__(self, path: Path, limit_rows: int | None = None) -> Trace:
        """The first `limit_rows` rows, None for all; raises TraceError."""
        ...


class TraceFormat(NamedTuple):
    recognises: Callable[[str], bool]
    """By the first line of a file, without its line end."""
    read: ReadTrace


FORMATS = {"azure_csv": TraceFormat(has_azure_header, read_azure_csv)}
AUTO = "auto"


def read_trace(path: Path, format: str = AUTO, limit_rows: int | None = None) -> Trace:  # noqa: A002 - the YAML key
    """Read a file in one of `FORMATS`, or in the one that its first line tells of."""
    name = _recognised(path) if format == AUTO else format
    return FORMATS[name].read(path, limit_rows)


def _recognised(path: Path) -> str:
    with open_text(path) as file:
        first_line = file.readline(1000).rstrip("\r\n")
    if not first_line:
        raise TraceError(f"{path} line 1: no header, the file is empty or starts with a blank line")
    for name, known in FORMATS.items():
        if known.recognises(first_line):
            return name
    raise TraceError(
        f"{path} line 1: {first_line[:80]!r} starts no known trace format; known are {', '.join(FORMATS)}"
    )
