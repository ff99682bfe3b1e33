"""`e80sim sweep SCENARIO` and `e80sim sweep merge DIR`."""

import json
import os
import time  # noqa: TID251 -- the run layer may look at the wall clock
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from e80sim.mistakes import FAILED, INTERRUPTED, UserError, say, stop
from sim.scenario.overrides import Setting
from sim.study.default_command import DefaultCommand

if TYPE_CHECKING:
    from reports.sweep.rows import Row
    from sim.study.folder import Definition
    from sim.study.sweep import Outcome, Sweep
    from sim.workers.executor import Executor

app = typer.Typer(add_completion=False)
sweep_app = typer.Typer(cls=DefaultCommand)
app.add_typer(sweep_app, name="sweep")
app.callback()(lambda: None)

STOPPING = "stopping: cells that are complete are kept; a second ctrl-C stops at once"
"""The answer to ctrl-C or SIGTERM."""

Fields = list[str]
Quiet = Annotated[bool, typer.Option("--quiet", help="no progress and no table")]
AsJson = Annotated[bool, typer.Option("--json", help="the table of cells as JSON on stdout")]
NoReport = Annotated[bool, typer.Option("--no-report", help="leave report.html out")]


@sweep_app.command("run")
def run(
    scenario: Annotated[Path, typer.Argument(metavar="SCENARIO", help="a scenario file (YAML)")],
    grid: Annotated[
        Fields,
        typer.Option(
            "--grid",
            metavar="FIELD=VALUES",
            help="each value with each of the other fields': 1:16, 1:64:*2, 1:64:log7 or 10,20,40",
        ),
    ] = [],  # noqa: B006 -- typer reads it, nobody changes it
    zipped: Annotated[
        Fields, typer.Option("--zip", metavar="FIELD=VALUES", help="fields that go together, value by value")
    ] = [],  # noqa: B006 -- as above
    lhs: Annotated[
        Fields,
        typer.Option(
            "--lhs", metavar="FIELD=LOW..HIGH", help="a Latin hypercube over such fields: 1..16, 1..64:log"
        ),
    ] = [],  # noqa: B006 -- as above
    samples: Annotated[
        int | None, typer.Option(min=1, help="of the Latin hypercube; at each point of a grid")
    ] = None,
    settings: Annotated[
        Fields, typer.Option("--set", metavar="a.b.c=VALUE", help="put over the scenario of every cell")
    ] = [],  # noqa: B006 -- as above
    out: Annotated[Path | None, typer.Option(help="the folder of the sweep; default sweeps/<name>")] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="processes; the results do not depend on it; default: one per core"),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="tcp://HOST:PORT", help="a Dask scheduler, whose workers do the work"),
    ] = None,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="only the I-th of N parts, then `sweep merge`")
    ] = None,
    engine: Annotated[Literal["fast", "step"], typer.Option(help="equal results")] = "fast",
    no_report: NoReport = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="say what the sweep would take, and run nothing")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="although it may not fit into memory")] = False,
) -> None:
    """Simulate SCENARIO for many values of its fields, and show what changes.

    What is varied stands in its section `sweep`, or in options, which then replace that section:

    e80sim sweep scenario.yaml --grid models.llama.nodes=1:16 --grid traffic.chat.arrivals.rate_per_s=10,20,40

    Cells that the folder has already are not simulated again, so an interrupted sweep goes on where it was.
    `e80sim sweep merge DIR` puts the shards of a sweep together.
    """
    from sim.run.progress import Progress
    from sim.study.folder import Definition, begin, store_of
    from sim.study.sweep import carry_out, planned, require_shard, shard_of
    from sim.workers import interrupt

    began = time.perf_counter()
    part = None if shard is None else require_shard(shard)
    sweep = planned(scenario, settings, list(_section(grid, zipped, lhs, samples)))
    folder = out or Path("sweeps") / sweep.plan.base.name
    cells = list(sweep.cells) if part is None else shard_of(sweep.cells, *part)
    if not dry_run or not quiet:
        say(_expected(sweep, len(cells)))
    if scheduler is None and not force:
        _require_fitting(sweep, jobs or os.cpu_count() or 1)
    if dry_run:
        return
    definition = Definition.of(sweep)
    begin(folder, definition, shared=part is not None)
    progress = Progress(sweep.plan.base.name, quiet=quiet)
    interrupt.listen(None if quiet else STOPPING)
    try:
        with progress, executor_of(scheduler, jobs, len(cells)) as executor:
            outcome = carry_out(cells, store_of(folder), executor, engine=engine, tell=progress)
    except KeyboardInterrupt:
        stop(f"interrupted; the cells that were complete are in {folder}", INTERRUPTED)
    progress.finish(_done(sweep, outcome, time.perf_counter() - began))
    if part is None:
        _present(folder, definition, outcome.failures, no_report=no_report, as_json=as_json, quiet=quiet)
    _end(outcome, folder)


@sweep_app.command("merge")
def merge(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="the folder that shards have written to")],
    others: Annotated[
        list[Path] | None, typer.Argument(metavar="[DIR]...", help="folders whose cells are brought there")
    ] = None,
    no_report: NoReport = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Put the shards of a sweep together: its tables and its report, once every cell is there."""
    from sim.study.folder import merge as merged
    from sim.study.folder import store_of

    definition = merged(folder, others or [])
    store = store_of(folder)
    missing = [i for i, cell in enumerate(definition.data["cells"]) if store.read(cell["key"]) is None]
    _present(folder, definition, {}, no_report=no_report, as_json=as_json, quiet=quiet)
    if missing:
        raise UserError(
            f"{folder}: {len(missing)} of {len(definition.data['cells'])} cells are missing, "
            f"the first of them number {missing[0] + 1}: run their shards again"
        )


def _section(grid: Fields, zipped: Fields, lhs: Fields, samples: int | None) -> Iterator[Setting]:
    """What the options say about the section `sweep`."""
    if not (grid or zipped or lhs):
        if samples is not None:
            yield Setting("sweep.samples.count", samples, f"--samples {samples}")
        return
    yield Setting("sweep", {}, "the command line")
    for option, inside, stated in (("--grid", "grid", grid), ("--zip", "zip", zipped)):
        for text in stated:
            field, values, place = _parted(option, text)
            yield Setting(f"sweep.{inside}.{field}", _values(values, place), place)
    if lhs and samples is None:
        raise UserError("--lhs: say how many samples with --samples")
    if samples is not None:
        yield Setting("sweep.samples.count", samples, f"--samples {samples}")
    for text in lhs:
        field, bounds, place = _parted("--lhs", text)
        yield Setting(f"sweep.samples.ranges.{field}", bounds, place)


def _parted(option: str, text: str) -> tuple[str, str, str]:
    """(field, values, place)."""
    field, equals, values = text.partition("=")
    if not equals or not field or not values:
        raise UserError(f"{option} {text}: write it as field=values, such as models.llama.nodes=1:16")
    return field, values, f"{option} {text}"


def _values(text: str, place: str) -> object:
    from sim.scenario.source_map import parse_value
    from sim.scenario.sweep import is_range

    return text if is_range(text) else parse_value(f"[{text}]", place)


def executor_of(scheduler: str | None, jobs: int | None, most: int | None = None) -> "Executor":
    """A Dask cluster, or as many processes as there are cores, but no more than `most` tasks at once."""
    if scheduler is not None:
        from sim.workers.dask_cluster import DaskCluster

        return DaskCluster(scheduler)
    from sim.workers.local import local

    places = jobs or os.cpu_count() or 1
    return local(places if most is None else min(places, most))


def _expected(sweep: "Sweep", cells: int) -> str:
    from reports.words import plural

    share = cells / len(sweep.cells)
    about = plural(round(sweep.requests * share), "request")
    of = "" if share == 1 else f" of {len(sweep.cells):,}"
    return f"{sweep.plan.base.name}: {cells:,}{of} {'cell' if cells == 1 else 'cells'}, about {about} in all"


def _require_fitting(sweep: "Sweep", jobs: int) -> None:
    from sim.run.estimate import available_bytes, size

    free, needed = available_bytes(), sweep.largest_bytes * min(jobs, len(sweep.cells))
    if free is not None and needed > free:
        raise UserError(
            f"{sweep.plan.base.name}: {min(jobs, len(sweep.cells))} of its cells at once need "
            f"{size(needed)} of memory, and {size(free)} are available here: lower --jobs, "
            "run.horizon_s or run.replications, or run it with --force"
        )


def _done(sweep: "Sweep", outcome: "Outcome", wall_s: float) -> str:
    there = f", {outcome.found} were there before" if outcome.found else ""
    cells = "cell" if outcome.simulated == 1 else "cells"
    return f"{sweep.plan.base.name}: {outcome.simulated} {cells} simulated in {wall_s:.1f} s{there}"


def _present(
    folder: Path,
    definition: "Definition",
    failures: Mapping[str, str],
    *,
    no_report: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    from reports.sweep.files import write_tables
    from reports.sweep.rows import row_of
    from reports.sweep.text import sweep_text
    from sim.study.folder import store_of

    rows: list[Row] = [row_of(record) for record in definition.records(store_of(folder), failures)]
    write_tables(folder, rows)
    if not no_report:
        from reports.html.sweep import render_sweep
        from reports.run_directory import write_report
        from reports.sweep.view import SweepView

        view = SweepView(definition.data, rows, definition.name, definition.short_names())
        write_report(folder, render_sweep(view))
    if as_json:
        typer.echo(json.dumps(rows))
        return
    if not quiet:
        typer.echo(sweep_text(rows, definition.data, definition.name))
    typer.echo(folder if no_report else folder / "report.html")


def _end(outcome: "Outcome", folder: Path) -> None:
    """Exit with what is to be told of cells without a result."""
    if outcome.missing:
        kept = outcome.found + outcome.simulated
        stop(
            f"interrupted: {kept} of {outcome.asked} cells are in {folder}; "
            "the same command goes on from there",
            INTERRUPTED,
        )
    if outcome.failures:
        first = next(iter(outcome.failures.values()))
        count = len(outcome.failures)
        stop(f"{count} of {outcome.asked} cells failed, the first of them so: {first}", FAILED)
