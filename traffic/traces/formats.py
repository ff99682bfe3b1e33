"""The formats that traces come in. A new one is a reader, a writer and a line in the table."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from traffic.traces.azure import azure_csv, has_azure_header, read_azure_csv
from traffic.traces.jsonl import has_our_keys, jsonl, read_jsonl
from traffic.traces.mooncake import has_mooncake_keys, mooncake_jsonl, read_mooncake_jsonl
from traffic.traces.text import open_text
from traffic.traces.trace import Trace, TraceError
from traffic.traces.vidur import has_vidur_header, read_vidur_csv, vidur_csv


class ReadTrace(Protocol):
    def __call__(self, path: Path, limit_rows: int | None = None) -> Trace:
        """The first `limit_rows` rows, None for all; raises TraceError."""
        ...


class TraceFormat(NamedTuple):
    recognises: Callable[[str], bool]
    """By the first line of a file, without its line end."""
    read: ReadTrace
    lines: Callable[[Trace], Iterator[str]]
    """Of a file that holds the trace, without their line ends."""


FORMATS = {
    "azure_csv": TraceFormat(has_azure_header, read_azure_csv, azure_csv),
    "mooncake_jsonl": TraceFormat(has_mooncake_keys, read_mooncake_jsonl, mooncake_jsonl),
    "vidur_csv": TraceFormat(has_vidur_header, read_vidur_csv, vidur_csv),
    "jsonl": TraceFormat(has_our_keys, read_jsonl, jsonl),
}
AUTO = "auto"


def read_trace(path: Path, format: str = AUTO, limit_rows: int | None = None) -> Trace:  # noqa: A002 - the YAML key
    """Read a file in one of `FORMATS`, or in the one that its first line tells of."""
    name = recognised(path) if format == AUTO else format
    return FORMATS[name].read(path, limit_rows)


def write_trace(trace: Trace, path: Path, format: str) -> None:  # noqa: A002 - as above
    """Refuses a file that exists (TraceError): it may be the only copy of an hour that will not come back."""
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{line}\n" for line in FORMATS[format].lines(trace))
    except FileExistsError:
        raise TraceError(f"{path} exists already: choose a file that does not") from None
    except OSError as problem:
        raise TraceError(f"cannot write the trace {path}: {problem.strerror}") from None


def recognised(path: Path) -> str:
    """The format that the first line tells of; raises TraceError."""
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
