"""`e80sim init NAME`: a first scenario to change."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from sim.scenario.shipped import FIRST, write_first

app = typer.Typer(add_completion=False)

COMMANDS = {
    "check": "after each change: one sentence if something is wrong",
    "run": "simulate it; leaves a report in runs/",
    "serve": "answer OpenAI clients as this platform would",
    "load": "load it with locust",
}


@app.command()
def init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="of the scenario; writes NAME.yaml")],
    kind: Annotated[
        str,
        typer.Option(help="; ".join(f"{kind}: {about}" for kind, about in FIRST.items())),
    ] = "edge",
) -> None:
    """Write a commented scenario that runs as it is, and print what to do with it. Nothing is overwritten."""
    paths = write_first(name.removesuffix(".yaml"), kind, Path())
    for path in paths:
        typer.echo(f"wrote {path}")
    typer.echo("\nNext:")
    file = shlex.quote(str(paths[-1]))
    width = max(map(len, COMMANDS))
    for command, what in COMMANDS.items():
        typer.echo(f"  e80sim {command:<{width}} {file}    # {what}")
