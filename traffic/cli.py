"""`e80sim trace describe|convert`: recorded traffic, before it enters a scenario. `e80sim tokenizer`."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import typer

from e80sim.mistakes import UserError
from traffic.traces import (
    FORMATS,
    TraceError,
    read_recording,
    read_trace,
    writable,
    writable_sessions,
    write_recording,
    write_trace,
)
from traffic.traces.file import FORMAT_NAME
from traffic.traces.formats.table import recognised
from traffic.traces.words import AUTO

app = typer.Typer(add_completion=False)
trace = typer.Typer(help="Look at a recorded trace, or rewrite it in another format.")
app.add_typer(trace, name="trace")

TraceFile = Annotated[Path, typer.Argument(metavar="FILE", help=f"a trace: {', '.join(FORMATS)}")]
Format = Annotated[str, typer.Option("--format", help=f"of FILE: {', '.join(FORMAT_NAME.words)}")]
LimitRows = Annotated[int | None, typer.Option(min=1, help="read no more than so many rows from the start")]


@trace.command(name="describe")
def describe_command(
    file: TraceFile,
    file_format: Format = AUTO,
    limit_rows: LimitRows = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Show rates, burstiness and lengths of the requests in FILE, and what its sessions are like."""
    from traffic.traces.describe import describe
    from traffic.traces.describe_sessions import describe_sessions
    from traffic.traces.describe_sessions_text import sessions_text
    from traffic.traces.describe_text import description_text

    name = _format(file, file_format)
    recording = read_recording(file, name, limit_rows) if FORMATS[name].sessions is not None else None
    try:
        about = describe(read_trace(file, name, limit_rows))
    except TraceError:
        if recording is None:
            raise
        about = None  # it says what waits for what, and not when anything was sent
    sessions = None if recording is None else describe_sessions(recording)
    if as_json:
        typer.echo(json.dumps({**(about or {"name": file.name}), "sessions": sessions}, indent=2))
        return
    told = [] if about is None else [description_text(about)]
    if sessions is not None and (about is None or sessions["sessions"] < sessions["turns"]):
        told.append(sessions_text(sessions))
    if about is None and recording is not None:
        told += recording.notes
    typer.echo("\n\n".join(told))


@trace.command()
def convert(
    file: TraceFile,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="the file to write; it must not exist")],
    to: Annotated[
        str, typer.Option(help=f"format of OUT: {', '.join([*writable(), *writable_sessions()])}")
    ] = "jsonl",
    file_format: Format = AUTO,
    limit_rows: LimitRows = None,
    speed: Annotated[float, typer.Option(help="2 makes it take half its time")] = 1.0,
    spread: Annotated[
        Literal["none", "even"],
        typer.Option(help="even: rows of one stamp go at equal distances until the clock's next tick"),
    ] = "none",
) -> None:
    """Write the requests of FILE to OUT: arrivals from the first on, tokens and prefix blocks, no more."""
    from traffic.traces.convert import sped_up, spread_out
    from traffic.traces.describe_sessions_text import sessions_and_turns
    from traffic.traces.spread import spread_note

    if to not in (known := [*writable(), *writable_sessions()]):
        raise UserError(f"--to {to}: there is no such format; there are {', '.join(known)}")
    if not 0 < speed < float("inf"):
        raise UserError(f"--speed {speed:g}: a speed is a number above 0")
    name = _format(file, file_format)
    if FORMATS[to].session_lines is not None:
        if speed != 1 or spread != "none":
            raise UserError(f"--to {to} keeps sessions as they are: leave --speed and --spread out")
        recording = read_recording(file, name, limit_rows)
        write_recording(recording, out, to)
        typer.echo(f"{out}: {sessions_and_turns(len(recording.sessions), recording.turns)}")
        _tell(recording.notes)
        return
    read = read_trace(file, name, limit_rows)
    notes = [*read.notes, *([spread_note(read.arrival_ps, spread)] if spread != "none" else [])]
    made = spread_out(read) if spread == "even" else read
    notes += write_trace(made if speed == 1 else sped_up(made, speed), out, to)
    typer.echo(f"{out}: {read.rows:,} requests")
    _tell(notes)


@trace.command(name="from-prometheus")
def from_prometheus(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", help="scrapes of /metrics in order of time, or a range query's JSON"
        ),
    ],
    every_s: Annotated[float | None, typer.Option(min=0.001, help="between two scrapes")] = None,
    over_s: Annotated[
        float | None, typer.Option(min=0.001, help="of one scrape: how long its counters had run")
    ] = None,
    model: Annotated[str | None, typer.Option(help="by its model_name; default: the only one")] = None,
    longest_tokens: Annotated[
        int | None, typer.Option(min=1, help="where lengths in the last bucket end: the model's context")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="write this file instead of printing")] = None,
) -> None:
    """Write what a vLLM server counted as arrivals and lengths of a scenario's source.

    Example: e80sim trace from-prometheus at-9.txt at-10.txt --every-s 3600 --longest-tokens 25000
    """
    from traffic.scrapes.counted import count
    from traffic.scrapes.source_yaml import source_yaml

    _give(source_yaml(count(files, every_s, over_s, model), longest_tokens), out)


@trace.command(name="from-servegen")
def from_servegen(
    trace_file: Annotated[Path, typer.Argument(metavar="TRACE", help="chunk-N-trace.csv of a client")],
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="its chunk-N-dataset.json")],
    from_s: Annotated[float, typer.Option(min=0, help="windows that start then or later")] = 0.0,
    until_s: Annotated[float | None, typer.Option(min=0, help="windows that start earlier")] = None,
    out: Annotated[Path | None, typer.Option(help="write this file instead of printing")] = None,
) -> None:
    """Write a client of ServeGen as arrivals and lengths of a scenario's source.

    Example: e80sim trace from-servegen chunk-10-trace.csv chunk-10-dataset.json --from-s 484200
    """
    from traffic.servegen.chunk import read_chunk
    from traffic.servegen.source import servegen_source

    _give(servegen_source(read_chunk(trace_file, dataset), trace_file.name, from_s, until_s), out)


@trace.command(name="to-servegen")
def to_servegen(
    file: TraceFile,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="gets chunk-N-trace.csv and chunk-N-dataset.json")
    ],
    client: Annotated[int, typer.Option(min=0, help="N")] = 0,
    file_format: Format = AUTO,
    limit_rows: LimitRows = None,
) -> None:
    """Write FILE as a client of ServeGen: rates by ten minutes, and how often each length came."""
    from traffic.servegen.write import write_chunk

    read = read_trace(file, _format(file, file_format), limit_rows)
    for path in write_chunk(read, folder, client):
        typer.echo(path)
    _tell(read.notes)


def _give(text: str, out: Path | None) -> None:
    """To a new file, or to whoever reads stdout."""
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UserError(f"{out} exists already: choose a file that does not") from None
    typer.echo(out)


@app.command()
def tokenizer(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="a folder that is new or empty")],
    llm: Annotated[str, typer.Option(help="whose vocabulary: a name of the catalogue")] = "llama3.1-8b",
) -> None:
    """Write a tokenizer that Hugging Face's libraries load to DIR, for load tools that have no network."""
    from traffic.tokenizer_folder import write_folder

    write_folder(folder, llm)
    typer.echo(folder)


def _tell(notes: Iterable[str]) -> None:
    for note in notes:
        typer.echo(note, err=True)


def _format(file: Path, file_format: str) -> str:
    if file_format not in FORMAT_NAME.words:
        known = ", ".join(FORMAT_NAME.words)
        raise UserError(f"--format {file_format}: there is no such format; there are {known}")
    return recognised(file) if file_format == AUTO else file_format
