"""`e80sim report DIR`: rebuild the report of a finished run."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)

Directory = Annotated[
    Path, typer.Argument(metavar="DIR", help="The directory of a run, as `e80sim run` left it.")
]
Out = Annotated[Path | None, typer.Option(help="Write the report to this file instead of DIR/report.html.")]


@app.command()
def report(directory: Directory, out: Out = None) -> None:
    """Rebuild report.html of a run from what it left, and print its path."""
    typer.echo(str(build(directory, out)))


def build(directory: Path, out: Path | None = None) -> Path:
    """Where the report was written. Raises RunDirectoryError, and then leaves what stood there."""
    from reports import run_directory
    from reports.html import render
    from reports.summary import FORMAT, summarise

    run = run_directory.read(directory)
    summary = run.summary
    if summary is None or summary.get("format") != FORMAT:
        summary = summarise(run.tables, run.manifest)
    html = render(summary, manifest=run.manifest)
    if out is None:
        run_directory.write_report(directory, html)
        return directory / run_directory.REPORT
    run_directory.replace_file(out, html)
    return out
