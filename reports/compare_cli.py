"""`e80sim compare DIR DIR ...`: finished runs side by side."""

import json
from pathlib import Path
from typing import Annotated

import typer

from reports.run_directory import replace_file

app = typer.Typer(add_completion=False)

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
) -> None:
    """Show the headlines of finished runs side by side, and which differences are real.

    Runs with the same seed, replications and arrivals are paired by replication. A difference is real where
    its interval leaves 0 out although all of them are looked at together, noise where it does not and lies
    within the margin, and else it cannot be told.

    Example: e80sim compare runs/agent/1 runs/agent/2 --margin 2 --html compared.html
    """
    from reports.compared.compare import compare as compared
    from reports.compared.runs import read_runs
    from reports.compared.text import comparison_text
    from reports.html.compared import render_comparison

    found = compared(read_runs(directories), margin / 100)
    if html is not None:
        replace_file(html, render_comparison(found))
    typer.echo(json.dumps(found) if as_json else comparison_text(found), nl=as_json)
