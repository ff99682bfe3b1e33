"""`e80sim gate SCENARIO`: exit 0 for objectives that are met, 1 missed, 3 undecided."""

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from e80sim.mistakes import INTERRUPTED, UserError, stop
from sim.run.cli import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reports.run_directory import Run
    from reports.targets import Judgement, Target

app = typer.Typer(add_completion=False)

STOPPING = "stopping: nothing will be judged; a second ctrl-C stops at once"
"""The answer to ctrl-C or SIGTERM."""


@app.command()
def gate(
    what: Annotated[
        Path, typer.Argument(metavar="SCENARIO|DIR", help="a scenario to run, or a finished run")
    ],
    objectives: Annotated[
        list[str],
        typer.Option(
            "--objective",
            metavar="QUANTITY<=LIMIT",
            help="besides the scenario's own; may be given several times: ttft_p95_ms<=50, attainment>=99%, "
            "'agent: felt_p95_ms<=400', e2e_p50_ms<=baseline+5%",
        ),
    ] = [],  # noqa: B006 -- typer reads it, nobody changes it
    baseline: Annotated[
        Path | None, typer.Option(metavar="DIR", help="the run that `baseline` stands for in an objective")
    ] = None,
    settings: Settings = [],  # noqa: B006 -- as above
    jobs: Annotated[int | None, typer.Option(min=1, help="processes; default: one per core")] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="keep the run and its report")] = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="write JUnit XML for a CI page")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="the judgements as one JSON object")] = False,
) -> None:
    """Hold SCENARIO, or a finished run, to objectives on its headline numbers, by their whole intervals."""
    from sim.gate.gate import EXIT_STATUS, judged, worst
    from sim.gate.junit import junit_xml

    with TemporaryDirectory(prefix="e80sim-") as rows:
        run, targets = (
            _of_run(what, objectives, settings, out)
            if what.is_dir()
            else _of_scenario(what, objectives, settings, jobs, out, Path(rows))
        )
        found = judged(run, targets, baseline)
    verdict = worst(found)
    if junit is not None:
        from reports.run_directory import replace_file

        replace_file(junit, junit_xml(run.manifest["scenario"], found))
    typer.echo(json.dumps(_json(verdict, found)) if as_json else _text(verdict, found))
    raise typer.Exit(EXIT_STATUS[verdict])


def _of_run(
    directory: Path, objectives: "Sequence[str]", settings: "Sequence[str]", out: Path | None
) -> "tuple[Run, list[Target]]":
    from reports.run_directory import read
    from reports.targets import parse

    if settings or out is not None:
        raise UserError(f"{directory} is a finished run: --set and --out are for a scenario that is to run")
    if not objectives:
        raise UserError("a finished run needs an --objective, such as 'e2e_p95_ms<=400'")
    return read(directory), [parse(text) for text in objectives]


def _of_scenario(
    scenario: Path,
    objectives: "Sequence[str]",
    settings: "Sequence[str]",
    jobs: int | None,
    out: Path | None,
    rows: Path,
) -> "tuple[Run, list[Target]]":
    """Long tables of the run lie in `rows`."""
    from sim.gate.simulated import simulated, targets_of
    from sim.run.estimate import estimate, require_fitting
    from sim.run.new_directory import require_new
    from sim.run.replications import NothingDoneError
    from sim.scenario.load import load
    from sim.workers import interrupt

    plan = load(scenario, settings)
    targets = targets_of(plan, objectives, scenario)
    require_fitting(estimate(plan, jobs or os.cpu_count() or 1))
    if out is not None:
        require_new(out, "--out")
    interrupt.listen(STOPPING)
    try:
        run = simulated(plan, rows, jobs=jobs)
    except (NothingDoneError, KeyboardInterrupt):
        stop("interrupted before there was anything to judge", INTERRUPTED)
    if run.manifest["interrupted"]:
        stop("interrupted: what was complete is not what the objectives are for", INTERRUPTED)
    if out is not None:
        from reports.html import report_of
        from reports.run_directory import write

        write(out, run, report_of)
    return run, targets


def _text(verdict: str, found: "Sequence[Judgement]") -> str:
    """What is missed or undecided first: that is what somebody opens a log for."""
    order = ("fail", "inconclusive", "pass")
    lines = [
        f"{one.verdict.upper():<12}  {one.sentence}"
        for one in sorted(found, key=lambda one: order.index(one.verdict))
    ]
    return "\n".join([*lines, verdict.upper()])


def _json(verdict: str, found: "Sequence[Judgement]") -> dict[str, Any]:
    return {
        "verdict": verdict,
        "objectives": [
            {
                "objective": one.target.text,
                "variant": one.variant,
                "source": one.source,
                "verdict": one.verdict,
                "sentence": one.sentence,
            }
            for one in found
        ],
    }
