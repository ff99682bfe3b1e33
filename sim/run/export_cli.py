"""`e80sim export RUN FILE --format F`: the requests of a run in the files of other tools."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)

Directory = Annotated[Path, typer.Argument(metavar="RUN", help="the directory of a run")]
Variant = Annotated[str | None, typer.Option(help="of the run; default: its only one")]
Replication = Annotated[int, typer.Option(min=0, help="which one, counted from 0")]
Model = Annotated[str | None, typer.Option(help="by its short name; default: the only one asked")]


@app.command()
def export(
    directory: Directory,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="the file to write; it must not exist")],
    to: Annotated[str, typer.Option("--format", help="one of docs/formats.md")] = "columns",
    variant: Variant = None,
    replication: Replication = 0,
    model: Model = None,
) -> None:
    """Write the requests of one replication to FILE as a load tool would have measured them, or as a trace.

    Example: e80sim export runs/my-agent/1 result.json --format vllm_bench --variant edge
    """
    from sim.run.exported import export_run

    notes = export_run(directory, file, to, variant, replication, model)
    typer.echo(file)
    for note in notes:
        typer.echo(note, err=True)
