"""`e80sim report DIR`: rebuild the report of a finished run, or say whether the run is what it was."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from e80sim.mistakes import FAILED, UserError

app = typer.Typer(add_completion=False)

Directory = Annotated[
    Path, typer.Argument(metavar="DIR", help="The directory of a run, as `e80sim run` left it.")
]
Out = Annotated[Path | None, typer.Option(help="Write the report to this file instead of DIR/report.html.")]
Check = Annotated[
    bool,
    typer.Option(
        "--check",
        help="Write nothing: make every number of summary.json again from the tables, hold every file "
        "against the digest of the run, and say in a sentence each what is missing or changed (then exit 1).",
    ),
]
Card = Annotated[
    Path | None,
    typer.Option(
        metavar="PNG",
        help="Write one picture of 1200 x 630 for an issue or a chat instead: question, answer, figure.",
    ),
]


@app.command()
def report(directory: Directory, out: Out = None, check: Check = False, card: Card = None) -> None:
    """Rebuild report.html of a run from what it left, and print its path.

    Example: e80sim report runs/edge-vs-cloud/latest --check
    """
    if card is not None:
        if check or out is not None:
            raise UserError(f"--card {card} writes a picture alone: leave --check and --out out")
        from reports.card import write_card

        write_card(directory, card)
        typer.echo(str(card))
    elif not check:
        typer.echo(str(build(directory, out)))
    elif out is not None:
        raise UserError(f"--check writes nothing, so it takes no --out {out}: give one of them")
    elif not hold(directory):
        raise typer.Exit(FAILED)


def build(directory: Path, out: Path | None = None) -> Path:
    """Where the report was written. Raises RunDirectoryError, and then leaves what stood there."""
    from reports import run_directory
    from reports.html import report_of
    from reports.summary import summary_of

    run = run_directory.read(directory)
    summary = summary_of(run)
    html = report_of(replace(run, summary=summary))
    if out is not None:
        run_directory.replace_file(out, html)
        return out
    if summary != run.summary:
        run_directory.write_summary(directory, summary)
    run_directory.write_report(directory, html)
    return directory / run_directory.REPORT


def hold(directory: Path) -> bool:
    """Print what is wrong with a run; True where nothing is. Raises RunDirectoryError for what is none."""
    from reports.check import checked
    from reports.words import count, plural

    found = checked(directory)
    for sentence in found.findings:
        typer.echo(f"{directory}: {sentence}")
    if not found.findings:
        typer.echo(
            f"{directory}: whole and unchanged: {plural(found.files, 'file')}, and {count(found.numbers)} "
            "numbers that come out of the tables again."
        )
    return not found.findings
