"""`e80sim path`: what a request pays between two places, worked out line by line."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from mistakes import UserError
from sim.network.keep_alive import Tls

if TYPE_CHECKING:
    from sim.network.journey import Journey
    from sim.network.network import Settings

app = typer.Typer(add_completion=False)

FORMS = "a region such as aws:us-east-1, edge, internet:cable:aws:us-east-1, or a place of the scenario"


@app.command()
def path(
    a: Annotated[str, typer.Argument(metavar="A", help=f"the caller: {FORMS}")],
    b: Annotated[str, typer.Argument(metavar="[B]", help="the server: the same, or gateway")] = "gateway",
    prompt_tokens: Annotated[int, typer.Option(min=1, help="length of the prompt")] = 1000,
    scenario: Annotated[
        Path | None, typer.Option(metavar="FILE", help="a scenario: its places, site, TLS and DNS hold")
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
    """Show what a request pays from A to B, until the first byte of its answer is back at A."""
    from sim.network.journey import journey_text

    found = _journey(a, b, prompt_tokens, _settings(scenario, site, tls), cold=cold)
    typer.echo(json.dumps(found, indent=2) if as_json else journey_text(found))


def _settings(scenario: Path | None, site: str | None, tls: str | None) -> "Settings":
    """What the options say over what the scenario says."""
    from sim.network.regions import region_table
    from sim.scenario.load import load
    from sim.scenario.schema import Network

    if tls is not None and tls not in get_args(Tls):
        raise UserError(f"--tls {tls}: it can be {', '.join(get_args(Tls))}")
    stated = {"site": site and region_table().region(site).name, "tls": tls}
    network = Network.model_construct(places={}) if scenario is None else load(scenario).base.network
    return network.model_copy(update={key: value for key, value in stated.items() if value})


def _journey(a: str, b: str, prompt_tokens: int, settings: "Settings", *, cold: bool) -> "Journey":
    from sim.network.ends import end_named
    from sim.network.journey import journey
    from sim.network.keep_alive import KeepAlive
    from sim.network.places import CustomPlace, path_between

    start, end = (end_named(name, settings.places) for name in (a, b))
    dns_lookup_ms = None if isinstance(start, CustomPlace) else settings.dns_lookup_ms
    keep_alive = KeepAlive(tls=settings.tls, dns_lookup_ms=dns_lookup_ms)
    return journey(path_between(start, end, settings.site), prompt_tokens, keep_alive, cold=cold)
