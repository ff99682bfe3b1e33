"""What a run leaves on disk: written whole or not at all, and the same bytes for the same run.

scenario.yaml, manifest.json, requests.parquet, nodes.parquet, gaps.parquet, user_requests.parquet (with
apps), prefixes.parquet (with prefix caches), stages.parquet (with disaggregated models),
sessions.parquet (with callers that wait for their answers), agent_steps.parquet (with agents),
faults.parquet (where something breaks), lifetimes.parquet (of nodes that come and go),
asks.parquet (with clients that retry or hedge), preemptions.parquet (where requests lost KV blocks),
uncertainty.parquet (with draws of uncertain values), summary.json, report.html; of live runs also
arrivals.jsonl (what came in, for `e80sim replay`) and client.jsonl (what a load client saw). The manifest has
the hash of every file that the rest is made from.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Never

import pyarrow as pa
import pyarrow.parquet as pq

from e80sim.mistakes import UserError
from reports import unfinished
from reports.digest import FILES, sha256_of, stamped
from reports.record import (
    AGENT_STEP_COLUMNS,
    ASK_COLUMNS,
    FAULT_COLUMNS,
    GAP_COLUMNS,
    LATER_COLUMNS,
    LIFETIME_COLUMNS,
    NODE_COLUMNS,
    PREEMPTION_COLUMNS,
    PREFIX_COLUMNS,
    REQUEST_COLUMNS,
    SESSION_COLUMNS,
    STAGE_COLUMNS,
    USER_REQUEST_COLUMNS,
    Column,
)
from reports.stored import Table, opened, whole, write_stored
from reports.tables import KEYS, RunTables

FORMAT = 2
"""Of the tables and the manifest. 2: requests have `samples`."""
REPORT = "report.html"
MANIFEST = "manifest.json"
SCENARIO = "scenario.yaml"
SUMMARY = "summary.json"
UNCERTAINTY = "uncertainty.parquet"
TABLES: dict[str, Sequence[Column]] = {
    "requests": REQUEST_COLUMNS,
    "nodes": NODE_COLUMNS,
    "user_requests": USER_REQUEST_COLUMNS,
    "gaps": GAP_COLUMNS,
    "prefixes": PREFIX_COLUMNS,
    "stages": STAGE_COLUMNS,
    "sessions": SESSION_COLUMNS,
    "faults": FAULT_COLUMNS,
    "lifetimes": LIFETIME_COLUMNS,
    "asks": ASK_COLUMNS,
    "agent_steps": AGENT_STEP_COLUMNS,
    "preemptions": PREEMPTION_COLUMNS,
}


class RunDirectoryError(UserError):
    """One sentence for the user: which path, what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Run:
    tables: RunTables
    manifest: Mapping[str, Any]
    scenario_text: str
    """The resolved scenario, as YAML."""
    summary: Mapping[str, Any] | None
    uncertainty: pa.Table | None = None
    """The draws of uncertain values and what came of each, where any were made."""


ReportOf = Callable[[Run], bytes]
"""Writes the page of a run whose manifest has the digest."""


def write(
    path: Path,
    run: Run,
    report_of: ReportOf | None = None,
    more: Mapping[str, Callable[[Path], object]] | None = None,
) -> None:
    """Everything appears under `path` at once. Raises RunDirectoryError, and then leaves nothing.

    `more` are further files by name, with what writes them.
    """
    if path.exists():
        raise RunDirectoryError(f"{path} exists already: choose another directory for the run.")
    hidden = partial_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(hidden, ignore_errors=True)
        hidden.mkdir()
        _fill(hidden, run, report_of, more or {})
        _sync(hidden)
        hidden.rename(path)
        _sync(path.parent)
    except OSError as error:
        raise RunDirectoryError(f"The run could not be written to {path}: {_reason(error)}.") from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def partial_of(path: Path) -> Path:
    """What `path` is called until it is whole."""
    return path.with_name(f".{path.name}.{os.getpid()}.partial")


def write_report(path: Path, report_html: str | bytes) -> None:
    """Put or replace the report of the run in `path`, whole or not at all."""
    replace_file(path / REPORT, report_html)


def write_summary(path: Path, summary: Mapping[str, Any]) -> None:
    """Put or replace the summary of the run in `path`, whole or not at all."""
    replace_file(path / SUMMARY, json_text(summary))


def add_file(path: Path, name: str, content: str) -> Run:
    """Put `content` into the run in `path` and into its digest; the run, as it is afterwards."""
    run = read(path)
    replace_file(path / name, content)
    manifest = stamped(run.manifest, {**run.manifest.get(FILES, {}), name: sha256_of(path / name)})
    replace_file(path / MANIFEST, json_text(manifest))
    return replace(run, manifest=manifest)


def read(path: Path) -> Run:
    """Raises RunDirectoryError for anything but a complete run of this format."""
    manifest = read_manifest(path)
    if manifest.get("format") != FORMAT:
        raise RunDirectoryError(
            f"{path} has format {manifest.get('format')!r}; this version of e80sim reads format {FORMAT}."
        )
    tables = RunTables(
        requests=_read_table(path, "requests"),
        nodes=_read_table(path, "nodes"),
        user_requests=_read_optional(path, "user_requests"),
        gaps=_read_optional(path, "gaps"),
        prefixes=_read_optional(path, "prefixes"),
        stages=_read_optional(path, "stages"),
        sessions=_read_optional(path, "sessions"),
        faults=_read_optional(path, "faults"),
        lifetimes=_read_optional(path, "lifetimes"),
        asks=_read_optional(path, "asks"),
        agent_steps=_read_optional(path, "agent_steps"),
        preemptions=_read_optional(path, "preemptions"),
    )
    summary = path / SUMMARY
    return Run(
        tables,
        manifest,
        _read_text(path / SCENARIO),
        _read_json(summary) if summary.exists() else None,
        whole(_read_parquet(path / UNCERTAINTY)) if (path / UNCERTAINTY).exists() else None,
    )


def read_manifest(path: Path) -> dict[str, Any]:
    """Of any format. Raises RunDirectoryError for what is no directory of a run."""
    if not path.is_dir():
        raise RunDirectoryError(f"{path} is not a directory: give the directory of a run.")
    if not (path / MANIFEST).is_file():
        if path.name.endswith(unfinished.SUFFIX):
            raise RunDirectoryError(
                f"{path} is of a run that goes on, or was killed before it was whole: it has "
                f"{unfinished.told(path)}. No report is made of a part; any parquet reader reads its files."
            )
        raise RunDirectoryError(f"{path} is not the directory of a run: it has no manifest.json.")
    return _read_json(path / MANIFEST)


def table_files() -> tuple[str, ...]:
    """What the tables of a run are called, whether it has them or not."""
    return tuple(f"{name}.parquet" for name in TABLES)


def json_text(document: Mapping[str, Any]) -> str:
    """Keys in the order given, floats as their shortest exact text; ValueError for not-a-number."""
    return json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _fill(
    folder: Path, run: Run, report_of: ReportOf | None, more: Mapping[str, Callable[[Path], object]]
) -> None:
    """What the digest covers comes first, then what is made from it."""
    _write_text(folder / SCENARIO, run.scenario_text)
    for name, columns in TABLES.items():
        table = getattr(run.tables, name)
        if table is not None:
            _write_table(folder / f"{name}.parquet", table, columns)
    if run.uncertainty is not None:
        pq.write_table(run.uncertainty, folder / UNCERTAINTY, compression="zstd", write_page_checksum=True)
        _sync(folder / UNCERTAINTY)
    for name, write_file in more.items():
        write_file(folder / name)
        _sync(folder / name)
    manifest = stamped(run.manifest, {file.name: sha256_of(file) for file in folder.iterdir()})
    _write_text(folder / MANIFEST, json_text(manifest))
    if run.summary is not None:
        _write_text(folder / SUMMARY, json_text(run.summary))
    if report_of is not None:
        (folder / REPORT).write_bytes(report_of(replace(run, manifest=manifest)))
        _sync(folder / REPORT)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
    _sync(path)


def _write_table(path: Path, table: Table, columns: Sequence[Column]) -> None:
    write_stored(path, table, (*KEYS, *columns))
    _sync(path)


def replace_file(path: Path, content: str | bytes) -> None:
    """Put `content` at `path`, whole or not at all. Raises RunDirectoryError."""
    hidden = partial_of(path)
    try:
        hidden.write_bytes(content.encode() if isinstance(content, str) else content)
        _sync(hidden)
        hidden.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise RunDirectoryError(f"{path} could not be written: {_reason(error)}.") from error
    finally:
        hidden.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Down to the disk, so that a full one is noticed here and a crash later loses nothing."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read_optional(path: Path, name: str) -> Table | None:
    return _read_table(path, name) if (path / f"{name}.parquet").exists() else None


def _read_table(path: Path, name: str) -> Table:
    file = path / f"{name}.parquet"
    table = _read_parquet(file)
    expected = [column.name for column in (*KEYS, *TABLES[name])]
    missing = [column for column in expected if column not in table.column_names]
    if lacking := [column for column in missing if column not in LATER_COLUMNS]:
        raise RunDirectoryError(f"{file} lacks the column {lacking[0]}: it is not a table of a run.")
    return table.select([column for column in expected if column not in missing])


def _read_parquet(file: Path) -> Table:
    try:
        return opened(file)
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:  # no checksum covers names of columns
        _damaged(file, error)


def _read_json(path: Path) -> dict[str, Any]:
    text = _read_text(path)
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        _damaged(path, error)
    if not isinstance(found, dict):
        raise RunDirectoryError(f"{path} does not hold a JSON object: the run is damaged.")
    return found


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        _damaged(path, error)


def _damaged(path: Path, error: Exception) -> Never:
    raise RunDirectoryError(f"{path} cannot be read, the run is damaged: {_reason(error)}.") from error


def _reason(error: Exception) -> str:
    # Of an errno: pyarrow's own words go around it.
    known = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else None
    return (known or str(error).splitlines()[0]).rstrip(".")
