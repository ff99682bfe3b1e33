"""`e80sim replay DIR`: run what came into a live server again, offline, and compare the stamps."""

import time  # noqa: TID251 -- the run layer may look at the wall clock
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from e80sim.mistakes import UserError
from reports.html import report_of
from reports.run_directory import MANIFEST, Run, read, write
from reports.summary import summarise
from reports.tables import RunTables
from reports.words import plural
from sim.run.journal import FILE, read_journal, read_lines, write_whole
from sim.run.live import first_difference, live_manifest, live_tables, measured_plan, replayed
from sim.run.new_directory import require_new
from sim.scenario.load import load

app = typer.Typer(add_completion=False)

DIFFERENT = 1
"""The exit status."""


@app.command()
def replay(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="what `e80sim serve --record` or `e80sim load` left")
    ],
    out: Annotated[Path | None, typer.Option(help="write a run directory of the replay, too")] = None,
) -> None:
    """Exit status 0: every stamp is equal, to the picosecond. 1: the first difference is told.

    Of a server that did not end by itself DIR.recording is left: --out makes a run of what had come in.
    """
    if (directory / FILE).exists() and not (directory / MANIFEST).exists():
        if out is None:
            raise UserError(f"{directory} is a recording that broke off: --out makes a run of what it holds")
        require_new(out, "--out")
        typer.echo(f"{out}: {plural(_recover(directory, out), 'request')} recovered from {directory}.")
        return
    run = read(directory)
    if not (directory / FILE).exists():
        raise UserError(f"{directory} is not the directory of a live run: it has no {FILE}")
    if out is not None:
        require_new(out, "--out")
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
    asked = sum(entry.request is not None for entry in entries)
    struck = sum(entry.fault is not None for entry in entries)
    broken = f" and {plural(struck, 'fault')}" if struck else ""
    left = len(entries) - asked - struck
    typer.echo(
        f"{directory}: {asked} requests{broken} replayed, of which {left} were left by their callers; "
        "every stamp is equal, to the picosecond."
    )


def _recover(directory: Path, out: Path) -> int:
    """Raises UserError; answers how many requests there are."""
    entries = read_journal(directory / FILE)
    arrived = [entry.at_ps for entry in entries if entry.request is not None]
    if not arrived:
        raise UserError(f"{directory} holds no request: there is nothing to make a run of")
    began, created = time.perf_counter(), datetime.now(UTC)
    scenario = next(iter(load(directory / "scenario.yaml").variants.values()))
    tables = live_tables(replayed(scenario, entries))
    plan = measured_plan(scenario, arrived[0], arrived[-1])
    wall_s = time.perf_counter() - began
    manifest = live_manifest(plan, tables, created, wall_s, [f"Recovered from {directory}, which broke off."])
    summary = summarise(tables, manifest)
    run = Run(tables, manifest, plan.resolved(), summary)
    arrivals = partial(read_lines, directory / FILE)
    write(out, run, report_of, {FILE: partial(write_whole, read=arrivals)})
    return len(arrived)


def _write(out: Path, run: Run, tables: RunTables, directory: Path) -> None:
    manifest = {name: value for name, value in run.manifest.items() if name != "live"}
    notes = [note for note in manifest["notes"] if not note.startswith("Not paced")]
    manifest["notes"] = [*notes, f"Replayed from the arrivals of {directory}."]
    summary = summarise(tables, manifest)
    again = replace(run, tables=tables, manifest=manifest, summary=summary)
    write(out, again, report_of)
