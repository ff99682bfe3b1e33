"""`e80sim path`: what a request pays between two places, worked out line by line."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from e80sim.mistakes import UserError
from sim.network.keep_alive import Tls

if TYPE_CHECKING:
    from sim.network.journey import Journey, JourneyRequest
    from sim.network.network import NetworkSettings

app = typer.Typer(add_completion=False)

FORMS = (
    "a region such as aws:us-east-1, coordinates such as @52.52,13.4, edge, internet:cable:aws:us-east-1, "
    "or a place of the scenario"
)


@app.command()
def path(
    a: Annotated[str, typer.Argument(metavar="A", help=f"the caller: {FORMS}")],
    b: Annotated[str, typer.Argument(metavar="[B]", help="the server: the same, or gateway")] = "gateway",
    prompt_tokens: Annotated[int, typer.Option(min=1, help="length of the prompt")] = 1000,
    output_tokens: Annotated[
        int | None, typer.Option(min=1, help="length of the answer: show its way back, too")
    ] = None,
    stream: Annotated[
        bool, typer.Option("--stream/--no-stream", help="the answer comes as events, or in one piece")
    ] = True,
    scenario: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="a scenario: its section `network` holds, its places by their names"
        ),
    ] = None,
    site: Annotated[
        str | None, typer.Option(metavar="REGION", help="where the platform is; default aws:us-east-1")
    ] = None,
    tls: Annotated[str | None, typer.Option(help="none, 1.2 or 1.3; default 1.3")] = None,
    cold: Annotated[
        bool, typer.Option("--cold/--warm", help="set a connection up, or use one that has idled")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Show what a request pays from A to B, until the first byte of its answer is back at A, or the last."""
    from sim.network.journey import JourneyRequest, journey_text

    ask = JourneyRequest(prompt_tokens, output_tokens, stream, cold)
    found = _journey(a, b, ask, _settings(scenario, site, tls))
    typer.echo(json.dumps(found, indent=2) if as_json else journey_text(found))


def _settings(scenario: Path | None, site: str | None, tls: str | None) -> "NetworkSettings":
    """What the options say over what the scenario says."""
    from sim.network.regions import region_table
    from sim.scenario.load import load
    from sim.scenario.schema import NetworkSection

    if tls is not None and tls not in get_args(Tls):
        raise UserError(f"--tls {tls}: it can be {', '.join(get_args(Tls))}")
    stated = {"site": site and region_table().region(site).name, "tls": tls}
    network = NetworkSection.model_construct(places={}) if scenario is None else load(scenario).base.network
    return network.model_copy(update={key: value for key, value in stated.items() if value})


def _journey(a: str, b: str, ask: "JourneyRequest", settings: "NetworkSettings") -> "Journey":
    from sim.network.ends import end_named
    from sim.network.journey import journey
    from sim.network.network import Network

    network = Network(settings)
    start, end = (end_named(name, settings.places) for name in (a, b))
    return journey(network.path_between(start, end), ask, network.keep_alive(start), network.wire)
