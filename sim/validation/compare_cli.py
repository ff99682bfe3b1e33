"""`e80sim compare`: finished runs side by side, or a run against what others measured."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from e80sim.mistakes import UserError

app = typer.Typer(add_completion=False)

MEASURED = "a run against measurements"
"""The help panel."""

Directories = Annotated[
    list[str],
    typer.Argument(
        metavar="DIR...",
        help="run directories, or DIR:VARIANT, the first the baseline; a single one: its variants",
    ),
]


@app.command()
def compare(
    directories: Directories,
    margin: Annotated[
        float,
        typer.Option(min=0, help="of A's value in per cent: less than that nobody minds"),
    ] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="the comparison as one JSON object")] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="write it as a page of its own, too")
    ] = None,
    measured: Annotated[
        list[Path],
        typer.Option(
            metavar="FILE",
            help="what a load tool or an engine measured; more files may follow it",
            rich_help_panel=MEASURED,
        ),
    ] = [],  # noqa: B006 -- typer reads it, nobody changes it
    measured_format: Annotated[
        str,
        typer.Option(
            "--format", help="of FILE: auto, or a name of docs/formats.md", rich_help_panel=MEASURED
        ),
    ] = "auto",
    model: Annotated[
        str | None,
        typer.Option(
            help="of the run, by its short name; default: the only one asked", rich_help_panel=MEASURED
        ),
    ] = None,
    replication: Annotated[
        int | None, typer.Option(min=0, help="counted from 0; default: all", rich_help_panel=MEASURED)
    ] = None,
) -> None:
    """Show which differences of finished runs are real, or how far a run is from measurements.

    Runs with the same seed, replications and arrivals are paired by replication. A difference is real where
    its interval leaves 0 out although all of them are looked at together, noise where it does not and lies
    within the margin, and else it cannot be told.

    With --measured the run is held against files of vLLM's bench, AIPerf, GuideLLM, inference-perf,
    LLMServingSim, BLIS, locust (its _stats.csv), `e80sim probe` or our own columns, request by request where
    both sent the same.

    Examples: e80sim compare runs/agent/1 runs/agent/2 --margin 2 --html compared.html;
    e80sim compare runs/agent/1 --measured result.json
    """
    if measured:
        run, files = _sorted(directories, measured)
        found, text, page = _measured(run, files, measured_format, model, replication)
    elif model is not None or replication is not None or measured_format != "auto":
        raise UserError("--format, --model and --replication go with --measured FILE")
    else:
        found, text, page = _runs(directories, margin / 100)
    if html is not None:
        from reports.run_directory import replace_file

        replace_file(html, page())
    typer.echo(json.dumps(found) if as_json else text, nl=as_json)


def _runs(names: Sequence[str], margin: float) -> tuple[Any, str, Any]:
    from reports.compared.compare import compare as compared
    from reports.compared.runs import read_runs
    from reports.compared.text import comparison_text
    from reports.html.compared import render_comparison

    for name in names:
        if Path(name).is_file():
            raise UserError(f"{name} is a file: measurements go behind --measured, runs are directories")
    found = compared(read_runs(names), margin)
    return found, comparison_text(found), lambda: render_comparison(found)


def _measured(
    name: str, files: Sequence[Path], measured_format: str, model: str | None, replication: int | None
) -> tuple[Any, str, Any]:
    from reports.compared.measured_text import against_text
    from reports.compared.runs import read_side
    from reports.html.against import render_against
    from sim.validation.against import against, replications_of
    from sim.validation.measured_file import measured_file

    read = [measured_file(file, measured_format) for file in files]
    _, run, variant = read_side(name)
    several = [one["name"] for one in run.manifest["facts"]["variants"]]
    if variant is None and len(several) > 1:
        named = ", ".join(f"{name}:{one}" for one in several)
        raise UserError(f"{name} has {len(several)} variants: choose one of {named}")
    replications = replications_of(run, variant, model, replication)
    found = [against(replications, one) for one in read]
    for one, file in zip(found, files, strict=True):
        if not one["metrics"]:
            raise UserError(f"{file}: nothing to compare: {' '.join(one['left_out'])}")
    data = {"run": name, "files": found}
    return data, "\n".join(map(against_text, found)), lambda: render_against(found, name)


def _sorted(names: Sequence[str], measured: Sequence[Path]) -> tuple[str, list[Path]]:
    """The run, and all files: a shell puts those after the first of them among the directories."""
    runs = [name for name in names if not Path(name).is_file()]
    if len(runs) != 1:
        raise UserError(
            f"--measured holds files against one run, and here are {len(runs)}: {', '.join(runs) or 'none'}"
        )
    return runs[0], [*measured, *(Path(name) for name in names if Path(name).is_file())]
