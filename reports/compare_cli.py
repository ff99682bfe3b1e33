"""`e80sim compare DIR DIR ...`: finished runs side by side."""

import json
from pathlib import Path
from typing import Annotated

import typer

from reports import compared_runs
from reports.compared_text import comparison_text
from reports.html.compared import render_comparison
from reports.run_directory import replace_file

app = typer.Typer(add_completion=False)

Directories = Annotated[
    list[Path], typer.Argument(metavar="DIR DIR...", help="run directories; the first is the baseline")
]


@app.command()
def compare(
    directories: Directories,
    as_json: Annotated[bool, typer.Option("--json", help="the comparison as one JSON object")] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="write it as a page of its own, too")
    ] = None,
) -> None:
    """Show the headlines of finished runs side by side, and what changes from the first to the others."""
    found = compared_runs.compare(compared_runs.read_runs(directories))
    if html is not None:
        replace_file(html, render_comparison(found))
    typer.echo(json.dumps(found) if as_json else comparison_text(found))
