"""`e80sim run`, `check` and `schema`."""

import json
import os
import time  # noqa: TID251 -- the run layer may look at the wall clock
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from e80sim.mistakes import INTERRUPTED, UserError, say, stop
from sim.scenario.load import Plan, load
from sim.scenario.overrides import Setting

if TYPE_CHECKING:
    from reports.run_directory import ReportOf, Run
    from sim.run.uncertainty import Draws

app = typer.Typer(add_completion=False)

WORKER_LOST = "a replication was lost three times with its process, perhaps for want of memory,"

STOPPING = "stopping: what is complete is written; a second ctrl-C stops at once and keeps nothing"
WRITING = "everything is simulated and is being written; a second ctrl-C stops at once and keeps nothing"
"""Answers to ctrl-C or SIGTERM."""

ScenarioFile = Annotated[Path, typer.Argument(metavar="SCENARIO", help="a scenario file (YAML)")]
Settings = Annotated[
    list[str],
    typer.Option("--set", metavar="a.b.c=VALUE", help="put over the scenario; may be given several times"),
]


@app.command()
def run(
    scenario: ScenarioFile,
    out: Annotated[
        Path | None, typer.Option(help="the run directory; default runs/<name>/<time>-<hash>")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="instead of run.seed")] = None,
    replications: Annotated[int | None, typer.Option(help="instead of run.replications")] = None,
    horizon: Annotated[float | None, typer.Option(metavar="S", help="instead of run.horizon_s")] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="processes; the results do not depend on it; default: one per core"),
    ] = None,
    settings: Settings = [],  # noqa: B006 -- typer reads it, nobody changes it
    engine: Annotated[Literal["fast", "step"], typer.Option(help="equal results")] = "fast",
    no_report: Annotated[bool, typer.Option("--no-report", help="leave report.html out")] = False,
    uncertainty: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=5, help="run N draws of the values that are only known to a range; 20 or more"
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="no progress and no table")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="the summary as one JSON object on stdout")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="say what the run would take, and run nothing")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="run although it may not fit into memory or onto the disk")
    ] = False,
) -> None:
    """Simulate every variant of SCENARIO, write a run directory and print what came out."""
    from reports.words import plural
    from sim.run.estimate import estimate, require_fitting, require_room
    from sim.run.finished import FinishedRun, finished
    from sim.run.progress import Progress
    from sim.run.stopping import run_until_precise
    from sim.scenario.prefix_caches import require_something_in_common
    from sim.workers import interrupt

    began = time.perf_counter()
    overrides = {"seed": seed, "replications": replications, "horizon": horizon}
    plan = load(scenario, [*settings, *_stated(overrides)])
    require_something_in_common(plan.variants.values())
    directory = _new_directory(plan, out)
    folder = _rows_folder(directory)
    jobs = jobs or os.cpu_count() or 1
    expected = estimate(plan, jobs)
    if not force:
        require_fitting(expected)
        require_room(expected, directory)
    if dry_run:
        typer.echo(f"{expected.sentence()}; {directory} can be written")
        return
    if not quiet:
        say(expected.sentence())
    draws = None if uncertainty is None else _draws(plan, uncertainty)
    progress = Progress(plan.base.name, quiet=quiet)
    interrupt.listen(None if quiet else STOPPING)
    with _stopped_in_a_sentence(folder), progress:
        results, remarks = run_until_precise(plan, jobs=jobs, engine=engine, tell=progress, folder=folder)
        made = None
        if draws is not None and not results.interrupted:
            from sim.run.uncertainty import study

            made = study(plan, results, draws, jobs=jobs, engine=engine, tell=progress)
        interrupt.will_answer(None if quiet else WRITING)
        progress.stage("summing up")
        done = finished(plan, FinishedRun(results, remarks, made), began)
        progress.stage("writing")
        kept, problem = _keep(directory, done, None if no_report else _report_of)
    rmtree(folder, ignore_errors=True)
    if results.interrupted and not interrupt.asked():
        say(f"{WORKER_LOST} and what was complete is kept")
    summary = dict(done.summary or {})
    progress.finish(
        f"{plan.base.name}: {plural(summary['replications'], 'replication')} "
        f"in {time.perf_counter() - began:.1f} s"
    )
    _present(summary, kept, as_json=as_json, quiet=quiet)
    if problem is not None:
        raise problem
    if results.interrupted or (made is not None and made.draws < made.asked):
        raise typer.Exit(INTERRUPTED)


def _rows_folder(directory: Path) -> Path:
    """Where long tables grow meanwhile. Raises UserError where the rows of another run are there."""
    from reports.unfinished import rows_folder, told

    folder = rows_folder(directory)
    if folder.exists():
        raise UserError(
            f"{folder} is of a run that goes on, or was killed ({told(folder)}): choose another --out, or "
            "remove it"
        )
    return folder


@contextmanager
def _stopped_in_a_sentence(folder: Path) -> Iterator[None]:
    """Where nothing is kept. Rows of a replication that was lost with its process stay for whoever looks."""
    from reports.unfinished import has_rows, told
    from sim.run.replications import NothingDoneError
    from sim.workers import interrupt

    try:
        yield
    except KeyboardInterrupt:
        rmtree(folder, ignore_errors=True)
        stop("stopped at once, as asked; nothing was written", INTERRUPTED)
    except NothingDoneError:
        if not interrupt.asked() and has_rows(folder):
            stop(f"{WORKER_LOST} before it was complete; {folder} has {told(folder)}", INTERRUPTED)
        rmtree(folder, ignore_errors=True)
        why = "interrupted" if interrupt.asked() else WORKER_LOST
        stop(f"{why} before there was anything to keep; nothing was written", INTERRUPTED)


def _stated(overrides: Mapping[str, float | None]) -> Iterator[Setting]:
    """What options put over the scenario's section `run`."""
    fields = {"horizon": "horizon_s"}
    for name, value in overrides.items():
        if value is not None:
            yield Setting(f"run.{fields.get(name, name)}", value, f"--{name} {value}")


def _draws(plan: Plan, draws: int) -> "Draws":
    from sim.run.uncertainty import draw

    try:
        return draw(plan, draws)
    except UserError as error:
        raise UserError(f"--uncertainty {draws}: {error}") from None


def _new_directory(plan: Plan, out: Path | None) -> Path:
    from sim.run.new_directory import new_directory, require_new

    if out is None:
        return new_directory(plan)
    require_new(out, "--out")
    return out


def _report_of(run: "Run") -> bytes:
    from reports.html import report_of

    return report_of(run)


def _keep(directory: Path, run: "Run", report_of: "ReportOf | None") -> tuple[Path | None, UserError | None]:
    """Where it is, and what went wrong: a disk that filled up meanwhile must not lose the work of hours."""
    from reports.run_directory import RunDirectoryError, write

    try:
        write(directory, run, report_of)
    except RunDirectoryError as error:
        elsewhere = Path(mkdtemp(prefix="e80sim-"))
        try:
            write(elsewhere / directory.name, run, report_of)
        except RunDirectoryError:
            elsewhere.rmdir()
            return None, error
        return elsewhere / directory.name, UserError(
            f"{error} It is in {elsewhere / directory.name} instead."
        )
    return directory, None


def _present(summary: dict[str, Any], directory: Path | None, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        typer.echo(json.dumps(summary))
        return
    if not quiet:
        from reports.text import summary_table

        typer.echo(summary_table(summary))
    if directory is not None:
        report = directory / "report.html"
        typer.echo(report if report.exists() else directory)


@app.command()
def check(scenario: ScenarioFile, settings: Settings = []) -> None:  # noqa: B006 -- as above
    """Validate SCENARIO and all its variants without running anything, and say what a run would take, and
    the load at which each limit of the first variant binds.
    """
    from reports.words import plural
    from sim.bounds import ladder_text, ladders_of
    from sim.run.estimate import estimate, require_fitting
    from sim.run.report_context import prediction_notes
    from sim.scenario.check import limit_notes, trace_notes
    from sim.scenario.prefix_caches import prefix_cache_notes
    from sim.scenario.start_up import capacity_notes, held_notes

    plan = load(scenario, settings)
    base = plan.base
    expected = estimate(plan, os.cpu_count() or 1)
    require_fitting(expected)
    variants = ", ".join(plan.variants)
    typer.echo(
        f"{scenario}: ok. {base.name}: {plural(len(plan.variants), 'variant')} ({variants}), "
        f"{plural(base.run.replications, 'replication')} of {base.run.horizon_s:g} s."
    )
    typer.echo(f"{expected.sentence()}.")
    first = next(iter(plan.variants.values()))
    typer.echo(ladder_text(ladders_of(first)))
    for note in dict.fromkeys(
        note
        for variant in plan.variants.values()
        for note in (
            *trace_notes(variant),
            *limit_notes(variant),
            *prefix_cache_notes(variant),
            *capacity_notes(variant),
            *held_notes(variant),
            *prediction_notes(variant),
        )
    ):
        typer.echo(f"Note: {note}")


@app.command()
def schema() -> None:
    """Print the JSON schema of scenario files: editors complete and check with it."""
    from sim.scenario.schema import Scenario

    typer.echo(json.dumps(Scenario.model_json_schema(), indent=2))
