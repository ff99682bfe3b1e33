"""The formats that traces come in. A new one is a reader, a writer and a line in the table.

Of sessions there are two readers: of what waits for what, and of the same turns at their recorded times.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Literal, Protocol

from traffic.traces.formats.azure import COLUMNS as AZURE
from traffic.traces.formats.azure import azure_csv, read_azure_csv
from traffic.traces.formats.blis import READ as BLIS
from traffic.traces.formats.blis import blis_csv, blis_losses, read_blis_csv
from traffic.traces.formats.csv_rows import header_names
from traffic.traces.formats.jsonl import KEYS as OURS
from traffic.traces.formats.jsonl import jsonl, read_jsonl
from traffic.traces.formats.llmservingsim import KEYS as LLMSERVINGSIM
from traffic.traces.formats.llmservingsim import (
    llmservingsim_jsonl,
    llmservingsim_losses,
    read_llmservingsim_jsonl,
)
from traffic.traces.formats.measured import KEYS as MEASURED
from traffic.traces.formats.measured import read_measured_traffic
from traffic.traces.formats.mooncake import (
    mooncake_jsonl,
    mooncake_losses,
    read_bailian_jsonl,
    read_mooncake_jsonl,
)
from traffic.traces.formats.seconds_csv import BURSTGPT, SPLITWISE, VIDUR, splitwise_csv
from traffic.traces.formats.sessions.stated import KEYS as STATED
from traffic.traces.formats.sessions.stated import read_sessions_jsonl, sessions_jsonl
from traffic.traces.formats.text import open_text
from traffic.traces.recording import Recording
from traffic.traces.trace import Trace
from traffic.traces.words import AUTO, TraceError

Layout = Literal["csv", "json"]


class ReadTrace(Protocol):
    def __call__(self, path: Path, limit_rows: int | None = None) -> Trace:
        """The first `limit_rows` rows, None for all; raises TraceError."""
        ...


class ReadSessions(Protocol):
    def __call__(self, path: Path, limit_rows: int | None = None) -> Recording:
        """Of the first `limit_rows` rows, None for all; raises TraceError."""
        ...


def as_sent(read: ReadSessions) -> ReadTrace:
    """A reader of the turns at their recorded times."""
    return lambda path, limit_rows=None: read(path, limit_rows).as_sent()


def _sessions(module: str, name: str) -> ReadSessions:
    """A reader whose module is loaded when a file is in its format."""

    def read(path: Path, limit_rows: int | None = None) -> Recording:
        found: ReadSessions = getattr(import_module(f"traffic.traces.formats.sessions.{module}"), name)
        return found(path, limit_rows)

    return read


def _dynamo_trace(path: Path, limit_rows: int | None = None) -> Trace:
    from traffic.traces.formats.sessions.dynamo import read_dynamo_trace  # noqa: PLC0415 -- as _sessions

    return read_dynamo_trace(path, limit_rows)


def _no_blocks(trace: Trace) -> Iterator[str]:
    if trace.blocks is not None:
        yield "hash_ids are left out: the format has no place for them."


@dataclass(frozen=True, slots=True)
class TraceFormat:
    kind: Layout
    names: frozenset[str]
    """A file is told by these columns of its header, or keys of its first row."""
    stamps: str
    """How times are written."""
    read: ReadTrace
    lines: Callable[[Trace], Iterator[str]] | None
    """Of a file that holds the trace, without their line ends; None where we write no such file."""
    losses: Callable[[Trace], Iterator[str]] = _no_blocks
    """What such a file tells otherwise than the trace, in sentences."""
    or_any_of: frozenset[str] = frozenset()
    """One of these must be there, too, unless it is empty."""
    sessions: ReadSessions | None = None
    """What waits for what; None where the format does not say."""
    session_lines: Callable[[Recording], Iterator[str]] | None = None
    """Of a file that holds all of a recording."""


LENGTHS = frozenset({"input_length", "output_length"})
FORMATS: dict[str, TraceFormat] = {
    "azure_csv": TraceFormat("csv", frozenset(AZURE), "TIMESTAMP as a date", read_azure_csv, azure_csv),
    "burstgpt_csv": TraceFormat(
        "csv", frozenset(BURSTGPT), "Timestamp in seconds", BURSTGPT.read, BURSTGPT.lines
    ),
    "vidur_csv": TraceFormat("csv", frozenset(VIDUR), "arrived_at in seconds", VIDUR.read, VIDUR.lines),
    "splitwise_csv": TraceFormat(
        "csv", frozenset(SPLITWISE), "arrival_timestamp in seconds", SPLITWISE.read, splitwise_csv
    ),
    "blis_csv": TraceFormat(
        "csv", frozenset(BLIS), "arrival_time_us in us", read_blis_csv, blis_csv, blis_losses
    ),
    # Before Mooncake's: the same keys, but a thousand times the time
    "bailian_jsonl": TraceFormat(
        "json",
        LENGTHS | {"timestamp"},
        "timestamp in seconds",
        read_bailian_jsonl,
        lines=None,  # it would need to know who chats with whom
        or_any_of=frozenset({"chat_id", "parent_chat_id", "turn"}),
        sessions=_sessions("chains", "read_bailian_chats"),
    ),
    "mooncake_jsonl": TraceFormat(
        "json",
        LENGTHS,
        "timestamp in ms",
        read_mooncake_jsonl,
        mooncake_jsonl,
        mooncake_losses,
        or_any_of=frozenset({"timestamp", "delay", "session_id"}),
        sessions=_sessions("chains", "read_mooncake_sessions"),
    ),
    "jsonl": TraceFormat("json", frozenset(OURS), "arrival_ps in ps", read_jsonl, jsonl, lambda _: iter(())),
    "llmservingsim_jsonl": TraceFormat(
        "json",
        frozenset(LLMSERVINGSIM),
        "arrival_time_ns in ns",
        read_llmservingsim_jsonl,
        llmservingsim_jsonl,
        llmservingsim_losses,
    ),
    "measured": TraceFormat(
        "json",
        frozenset(),
        "as the load tool has them",
        read_measured_traffic,
        lines=None,  # nothing has been measured yet
        or_any_of=MEASURED,
    ),
    "sessions_jsonl": TraceFormat(
        "json",
        frozenset(STATED),
        "spans in ps",
        as_sent(read_sessions_jsonl),
        None,
        sessions=read_sessions_jsonl,
        session_lines=sessions_jsonl,
    ),
    "dag_jsonl": TraceFormat(
        "json",
        frozenset({"session_id"}),
        "delay in ms",
        as_sent(_sessions("dag", "read_dag_jsonl")),
        None,
        or_any_of=frozenset({"turns", "orchestrator"}),
        sessions=_sessions("dag", "read_dag_jsonl"),
    ),
    "dynamo_trace": TraceFormat(
        "json",
        frozenset(),
        "times in ms since 1970",
        _dynamo_trace,
        None,
        or_any_of=frozenset({"event_type", "event"}),
        sessions=_sessions("dynamo", "read_dynamo_sessions"),
    ),
    "genai_spans": TraceFormat(
        "json",
        frozenset(),
        "times in ns since 1970, or as dates",
        as_sent(_sessions("genai", "read_genai_spans")),
        None,
        or_any_of=frozenset({"resourceSpans", "context"}),
        sessions=_sessions("genai", "read_genai_spans"),
    ),
}
LONGEST_FIRST_ROW = 2**24
"""In characters, to tell a format by; a prompt of ten million tokens has 20,000 ids of 512 tokens."""


def writable() -> list[str]:
    """The formats that we write traces in."""
    return [name for name, known in FORMATS.items() if known.lines is not None]


def writable_sessions() -> list[str]:
    """The formats that we write recordings in."""
    return [name for name, known in FORMATS.items() if known.session_lines is not None]


def read_trace(path: Path, format: str = AUTO, limit_rows: int | None = None) -> Trace:  # noqa: A002 - the YAML key
    """Read a file in one of `FORMATS`, or in the one that its first row tells of."""
    name = recognised(path) if format == AUTO else format
    trace = FORMATS[name].read(path, limit_rows)
    return replace(trace, notes=(_read_as(name, limit_rows), *trace.notes))


def read_recording(path: Path, format: str = AUTO, limit_rows: int | None = None) -> Recording:  # noqa: A002 - as above
    """Read the sessions of a file. Raises TraceError where its format has none."""
    name = recognised(path) if format == AUTO else format
    read = FORMATS[name].sessions
    if read is None:
        known = ", ".join(name for name, one in FORMATS.items() if one.sessions is not None)
        raise TraceError(
            f"{path} is read as {name}, which does not say what waits for what: formats of sessions are "
            f"{known}"
        )
    recording = read(path, limit_rows)
    return replace(recording, notes=(_read_as(name, limit_rows), *recording.notes))


def _read_as(name: str, limit_rows: int | None) -> str:
    cut = "" if limit_rows is None else f", its first {limit_rows:,} rows and no more"
    return f"Read as {name}, {FORMATS[name].stamps}{cut}."


def write_trace(trace: Trace, path: Path, format: str) -> list[str]:  # noqa: A002 - as above
    """Write a new file in one that is `writable`, and tell what it has otherwise than the trace.

    Refuses a file that exists (TraceError): it may be the only copy of an hour that will not come back.
    """
    lines = FORMATS[format].lines
    assert lines is not None, "a writable format"
    _write(lines(trace), path)
    return list(FORMATS[format].losses(trace))


def write_recording(recording: Recording, path: Path, format: str) -> None:  # noqa: A002 - as above
    """Write a new file, as `write_trace` does."""
    lines = FORMATS[format].session_lines
    assert lines is not None, "a format of recordings"
    _write(lines(recording), path)


def _write(lines: Iterator[str], path: Path) -> None:
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{line}\n" for line in lines)
    except FileExistsError:
        raise TraceError(f"{path} exists already: choose a file that does not") from None
    except OSError as problem:
        raise TraceError(f"cannot write the trace {path}: {problem.strerror}") from None


def recognised(path: Path) -> str:
    """The format that the first line which is not blank tells of; raises TraceError."""
    with open_text(path) as file:
        line, first = 1, file.readline(LONGEST_FIRST_ROW)
        while first and not first.strip():
            line, first = line + 1, file.readline(LONGEST_FIRST_ROW)
    if not first:
        raise TraceError(f"{path} line 1: no header, the file is empty or blank")
    kind, names = _names(first)
    for name, known in FORMATS.items():
        if known.kind == kind and known.names <= names and (not known.or_any_of or known.or_any_of & names):
            return name
    raise TraceError(
        f"{path} line {line}: {first.strip()[:80]!r} starts no known trace format; "
        f"known are {', '.join(FORMATS)}"
    )


def _names(first: str) -> tuple[Layout, frozenset[str]]:
    """Keys of a JSON object, else columns of a header."""
    if not first.lstrip().startswith("{"):
        return "csv", frozenset(header_names(first))
    try:
        row = json.loads(first)
    except ValueError:
        return "json", frozenset()
    return "json", frozenset(row)
