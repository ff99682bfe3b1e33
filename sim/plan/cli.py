"""`e80sim plan SCENARIO`: exit 0 for a value that meets the objectives, 1 for none, 3 undecided."""

import json
import time  # noqa: TID251 -- how long it took
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from e80sim.mistakes import FAILED, INTERRUPTED, UserError, stop
from sim.run.cli import Settings

if TYPE_CHECKING:
    from sim.plan.planning import Work
    from sim.plan.question import Question
    from sim.run.progress import Progress
    from sim.workers.executor import Executor

app = typer.Typer(add_completion=False)
UNDECIDED = 3
STATUS = {"pass": 0, "fail": FAILED, "inconclusive": UNDECIDED}
TIMES = 8
"""As many replications as a value has at first, at most."""


@app.command()
def plan(
    scenario: Annotated[Path, typer.Argument(metavar="SCENARIO", help="a scenario file (YAML)")],
    objectives: Annotated[
        list[str],
        typer.Option(
            "--objective",
            metavar="QUANTITY<=LIMIT",
            help="besides the scenario's own; may be given several times: ttft_p95_ms<=50, attainment>=99%",
        ),
    ] = [],  # noqa: B006 -- typer reads it, nobody changes it
    vary: Annotated[
        list[str],
        typer.Option(
            "--vary",
            metavar="FIELD=VALUES",
            help="the first field of numbers is searched (1:64, 1:64:*2, 1,2,4); others are choices",
        ),
    ] = [],  # noqa: B006 -- as above
    smallest: Annotated[bool, typer.Option("--smallest", help="more of it is better")] = False,
    largest: Annotated[
        bool,
        typer.Option("--largest", help="less of it is better; default of both: as the closed form has it"),
    ] = False,
    settings: Settings = [],  # noqa: B006 -- as above
    replications: Annotated[
        int | None, typer.Option(min=2, help="of a value at first; default: run.replications")
    ] = None,
    max_replications: Annotated[
        int | None,
        typer.Option(min=2, help="of a value that is undecided; default: eight times as many as at first"),
    ] = None,
    headroom: Annotated[
        bool, typer.Option("--headroom/--no-headroom", help="also the largest load that the answer carries")
    ] = True,
    out: Annotated[Path | None, typer.Option(help="the folder of the plan; default plans/<name>")] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="processes; the answer does not depend on it; default: one per core"),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="tcp://HOST:PORT", help="a Dask scheduler, whose workers do the work"),
    ] = None,
    engine: Annotated[Literal["fast", "step"], typer.Option(help="equal results")] = "fast",
    emit: Annotated[
        Literal["vllm"] | None,
        typer.Option(help="print the command that serves the answer, instead of text"),
    ] = None,
    no_report: Annotated[bool, typer.Option("--no-report", help="leave report.html out")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="no progress")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="plan.json on stdout")] = False,
) -> None:
    """Find the least of a field with which SCENARIO meets its objectives, and what that costs.

    e80sim plan chat.yaml --objective 'ttft_p95_ms<=50' --vary models.llama.nodes=1:64

    The closed form is worked out for every value, and only those around its answer are simulated. Exit 0
    where a value surely meets every objective, 1 where none does, 3 where replications do not decide it.
    """
    from sim.plan.question import Question
    from sim.plan.vllm import require_vllm
    from sim.run.progress import Progress
    from sim.study.sweep_cli import executor_of

    if smallest and largest:
        raise UserError("--smallest and --largest: say one of them, or none")
    question = Question.read(scenario, vary, objectives, settings)
    first = replications or max(2, question.base.run.replications)
    most = max_replications or TIMES * first
    if most < first:
        raise UserError(f"--max-replications {most} is below the {first} that a value has at first")
    folder = out or Path("plans") / question.base.name
    progress = Progress(question.base.name, quiet=quiet)
    if emit is not None:
        require_vllm(question)
    way = "smallest" if smallest else "largest" if largest else None
    found = _conducted(
        question,
        way,
        folder,
        (first, most),
        executor_of(scheduler, jobs),
        engine,
        progress,
        headroom=headroom,
        emit=emit is not None,
    )
    _present(folder, found, no_report=no_report, as_json=as_json, emitted=emit is not None)
    raise typer.Exit(STATUS[found["verdict"]])


def _conducted(
    question: "Question",
    way: str | None,
    folder: Path,
    replications: tuple[int, int],
    executor: "Executor",
    engine: str,
    progress: "Progress",
    *,
    headroom: bool,
    emit: bool,
) -> dict[str, Any]:
    from sim.plan.conduct import conduct
    from sim.plan.planning import Means, StoppedError, Work
    from sim.study.folder import store_of
    from sim.study.sweep_cli import STOPPING
    from sim.workers import interrupt

    began, work, store = time.perf_counter(), Work(), store_of(folder)
    store.prepare()
    interrupt.listen(None if progress.quiet else STOPPING)
    try:
        with progress, executor:
            means = Means(executor, store, engine, *replications, progress)
            found = conduct(question, way, means, work, with_headroom=headroom, emit=emit)
    except (KeyboardInterrupt, StoppedError):
        stop(f"interrupted; {folder} keeps what was simulated, and the same command goes on", INTERRUPTED)
    progress.finish(_done(question.base.name, work, time.perf_counter() - began))
    return found


def _done(name: str, work: "Work", wall_s: float) -> str:
    there = f", {work.found} were there before" if work.found else ""
    return f"{name}: {work.solved} closed forms and {work.simulated} simulated cells in {wall_s:.1f} s{there}"


def _present(folder: Path, found: dict[str, Any], *, no_report: bool, as_json: bool, emitted: bool) -> None:
    from reports.plan.text import plan_text
    from sim.plan.result import write

    write(folder, found)
    if not no_report:
        from reports.html.plan import render_plan
        from reports.run_directory import write_report

        write_report(folder, render_plan(found))
    if emitted and not as_json:  # the command alone on stdout, so that it can go into a file
        typer.echo(plan_text(found), err=True)
        if "vllm" in found:
            typer.echo(found["vllm"])
    else:
        typer.echo(json.dumps(found) if as_json else plan_text(found))
    typer.echo(folder if no_report else folder / "report.html", err=as_json or emitted)
