"""`e80sim explain RUN`: why requests of a finished run took as long as they did."""

import json
from pathlib import Path
from typing import Annotated

import typer

from e80sim.mistakes import UserError

app = typer.Typer(add_completion=False)

SLOWEST = 20


@app.command()
def explain(
    directory: Annotated[Path, typer.Argument(metavar="RUN", help="the directory of a run")],
    request: Annotated[int | None, typer.Option(metavar="N", help="the one with this number")] = None,
    slowest: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help=f"so many, the slowest first; without a choice, {SLOWEST}"),
    ] = None,
    quantile: Annotated[
        float | None, typer.Option(metavar="Q", help="the one at this quantile of the latency, such as 0.99")
    ] = None,
    source: Annotated[str | None, typer.Option(help="only requests of this traffic source")] = None,
    variant: Annotated[str | None, typer.Option(help="of this variant; default: the first")] = None,
    replication: Annotated[
        int | None, typer.Option(min=0, metavar="R", help="of this one, from 0; default: all")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="the chains as a JSON list on stdout")] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="write the chains as a page of their own, too")
    ] = None,
) -> None:
    """Say what requests of RUN waited for, phase by phase, from the tables that the run left.

    Several are listed, and the slowest is told in full. Example: e80sim explain runs/my-agent/1 --request 431
    """
    from reports.explained.chain import chains_of
    from reports.explained.choose import at_quantile, numbered, scenes
    from reports.explained.choose import slowest as slowest_of
    from reports.explained.text import chain_text, list_text
    from reports.run_directory import read

    if sum(choice is not None for choice in (request, slowest, quantile)) > 1:
        raise UserError("--request, --slowest and --quantile are three ways to choose: give one of them")
    run = read(directory)
    found = scenes(run, variant, source, replication)
    if request is not None:
        chosen = [numbered(found, request)]
    elif quantile is not None:
        chosen = [at_quantile(found, quantile, source)]
    else:
        chosen = slowest_of(found, slowest or SLOWEST, source)
    if not chosen:
        raise UserError("no request completed in the time that is measured; --request N takes any")
    chains = chains_of(chosen)
    if html is not None:
        from reports.html.explained_page import explained_page
        from reports.run_directory import replace_file

        replace_file(html, explained_page(chains, run.manifest["scenario"]))
    if as_json:
        typer.echo(json.dumps([chain.as_json() for chain in chains]))
        return
    if len(chains) > 1:
        typer.echo(f"The slowest of {chains[0].variant}, as replication/number:\n{list_text(chains)}\n")
    typer.echo(chain_text(chains[0]))
