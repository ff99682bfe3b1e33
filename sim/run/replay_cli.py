"""`e80sim replay DIR`: run what came into a live server again, offline, and compare the stamps."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from mistakes import UserError
from reports.html import render
from reports.run_directory import Run, read, write
from reports.summary import summarise
from reports.tables import RunTables
from sim.run.journal import FILE, read_journal
from sim.run.live import first_difference, live_tables, replayed
from sim.scenario.load import load

app = typer.Typer(add_completion=False)

DIFFERENT = 1
"""The exit status."""


@app.command()
def replay(
    directory: Annotated[Path, typer.Argument(help="what `e80sim serve --record` or `e80sim load` left")],
    out: Annotated[Path | None, typer.Option(help="write a run directory of the replay, too")] = None,
) -> None:
    """Exit status 0: every stamp is equal, to the picosecond. 1: the first difference is told."""
    run = read(directory)
    if not (directory / FILE).exists():
        raise UserError(f"{directory} is not the directory of a live run: it has no {FILE}")
    entries = read_journal(directory / FILE)
    if not entries:
        raise UserError(f"nothing came in to replay: {directory / FILE} is empty")
    plan = load(directory / "scenario.yaml")
    tables = live_tables(replayed(next(iter(plan.variants.values())), entries))
    if out is not None:
        _write(out, run, tables, directory)
    difference = first_difference(run.tables, tables)
    if difference is not None:
        typer.echo(f"{directory}: the replay differs. {difference}")
        raise typer.Exit(DIFFERENT)
    left = sum(entry.request is None for entry in entries)
    typer.echo(
        f"{directory}: {len(entries) - left} requests replayed, of which {left} were left by their callers; "
        "every stamp is equal, to the picosecond."
    )


def _write(out: Path, run: Run, tables: RunTables, directory: Path) -> None:
    manifest = {name: value for name, value in run.manifest.items() if name != "live"}
    notes = [note for note in manifest["notes"] if not note.startswith("Not paced")]
    manifest["notes"] = [*notes, f"Replayed from the arrivals of {directory}."]
    summary = summarise(tables, manifest)
    again = replace(run, tables=tables, manifest=manifest, summary=summary)
    write(out, again, render(summary, manifest=manifest))
