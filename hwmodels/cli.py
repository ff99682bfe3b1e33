"""`e80sim catalog`: what the catalogue holds, and what it rests on."""

import json
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def catalog(
    name: Annotated[
        str | None, typer.Argument(help="An entry, or the path of one; left out, all are listed.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Show every hardware and LLM figure with its source and confidence, and the step times that follow."""
    from hwmodels.catalog_page import index, page
    from hwmodels.catalog_text import index_text, page_text

    if name is None:
        entries = index()
        typer.echo(json.dumps(entries, indent=2) if as_json else index_text(entries))
        return
    entry = page(name)
    typer.echo(json.dumps(entry, indent=2) if as_json else page_text(entry))
