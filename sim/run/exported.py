"""The requests of a run, in a file of another tool: as measured, or as traffic to be sent again."""

from pathlib import Path

import numpy as np

from e80sim.mistakes import UserError
from reports.columns import Columns
from reports.exports.answers import about, columns_in, measured_of
from reports.exports.perfetto import shown, trace_lines
from reports.exports.table import EXPORTS, write_export, write_lines
from reports.run_directory import Run, read
from traffic.traces import writable, write_trace
from traffic.traces.trace import Trace


def export_run(
    directory: Path, file: Path, to: str, variant: str | None, replication: int, model: str | None
) -> list[str]:
    """Write `file` and return what it has otherwise than the run, in sentences. Raises UserError."""
    known = [*EXPORTS, *writable()]
    if to not in known:
        raise UserError(f"--format {to}: there is no such format; there are {', '.join(known)}")
    run = read(directory)
    columns = columns_in(run, variant, replication, model)
    if to in EXPORTS:
        return write_export(measured_of(columns, directory.name), about(run, columns), file, to)
    return _write_traffic(columns, directory.name, file, to)


def _write_traffic(columns: Columns, name: str, file: Path, to: str) -> list[str]:
    """Requests that made no token ask for nothing that a trace could say, and are left out."""
    sent = columns.take(
        (columns["sent_ps"] >= 0) & (columns["output_tokens"] > 0) & (columns["prompt_tokens"] > 0)
    )
    if not len(sent):
        raise UserError(f"{name} has no request with tokens in and out: a trace would be empty")
    sent = sent.take(np.argsort(sent["sent_ps"], kind="stable"))
    trace = Trace(
        name,
        sent["sent_ps"] - int(sent["sent_ps"][0]),
        sent["prompt_tokens"].copy(),
        sent["output_tokens"].copy(),
    )
    left_out = len(columns) - len(sent)
    notes = [f"{left_out:,} requests without a token out are left out."] if left_out else []
    return [*notes, *write_trace(trace, file, to)]


def write_perfetto(
    directory: Path, file: Path, variant: str | None, replication: int, model: str | None, most_requests: int
) -> str:
    """Write `file` and return a note, empty where every request is drawn. Raises UserError."""
    run: Run = read(directory)
    columns = columns_in(run, variant, replication, model)
    drawn = shown(columns, most_requests)
    write_lines(trace_lines(run, columns, drawn), file)
    return drawn.note
