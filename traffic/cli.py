"""`e80sim trace describe|convert`: recorded traffic, before it enters a scenario. `e80sim tokenizer`."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from e80sim.mistakes import UserError
from traffic.traces import FORMATS, Trace, read_trace, writable, write_trace
from traffic.traces.file import FORMAT_NAME
from traffic.traces.formats.table import AUTO

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
    """Show rates, burstiness and lengths of the requests in FILE."""
    from traffic.traces.describe import describe
    from traffic.traces.describe_text import description_text

    about = describe(_read(file, file_format, limit_rows))
    typer.echo(json.dumps(about, indent=2) if as_json else description_text(about))


@trace.command()
def convert(
    file: TraceFile,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="the file to write; it must not exist")],
    to: Annotated[str, typer.Option(help=f"format of OUT: {', '.join(writable())}")] = "jsonl",
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
    from traffic.traces.spread import spread_note

    if to not in writable():
        raise UserError(f"--to {to}: there is no such format; there are {', '.join(writable())}")
    if not 0 < speed < float("inf"):
        raise UserError(f"--speed {speed:g}: a speed is a number above 0")
    read = _read(file, file_format, limit_rows)
    notes = [*read.notes, *([spread_note(read.arrival_ps, spread)] if spread != "none" else [])]
    made = spread_out(read) if spread == "even" else read
    notes += write_trace(made if speed == 1 else sped_up(made, speed), out, to)
    typer.echo(f"{out}: {read.rows:,} requests")
    for note in notes:
        typer.echo(note, err=True)


@app.command()
def tokenizer(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="a folder that is new or empty")],
    llm: Annotated[str, typer.Option(help="whose vocabulary: a name of the catalogue")] = "llama3.1-8b",
) -> None:
    """Write a tokenizer that Hugging Face's libraries load to DIR, for load tools that have no network."""
    from traffic.tokenizer_folder import write_folder

    write_folder(folder, llm)
    typer.echo(folder)


def _read(file: Path, file_format: str, limit_rows: int | None) -> Trace:
    if file_format not in FORMAT_NAME.words:
        known = ", ".join(FORMAT_NAME.words)
        raise UserError(f"--format {file_format}: there is no such format; there are {known}")
    return read_trace(file, file_format, limit_rows)
