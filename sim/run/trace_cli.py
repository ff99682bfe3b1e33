"""`e80sim trace`: what traffic alone can do, and `export`, which looks at a run."""

from pathlib import Path
from typing import Annotated

import typer

from sim.run.export_cli import Directory, Model, Replication, Variant
from traffic.cli import app, trace

__all__ = ["app"]


@trace.command(name="export")
def export_trace(
    directory: Directory,
    perfetto: Annotated[
        Path, typer.Option(metavar="FILE", help="the trace to write, for ui.perfetto.dev; it must not exist")
    ],
    variant: Variant = None,
    replication: Replication = 0,
    model: Model = None,
    most_requests: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="of more, the slowest and some of the others are drawn")
    ] = 10_000,
) -> None:
    """Write a run as a trace of its nodes: requests with their phases, and queue, batch and KV over time.

    Example: e80sim trace export runs/my-agent/1 --variant edge --perfetto edge.json
    """
    from sim.run.exported import write_perfetto

    note = write_perfetto(directory, perfetto, variant, replication, model, most_requests)
    typer.echo(perfetto)
    if note:
        typer.echo(note, err=True)
