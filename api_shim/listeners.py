"""`--listen PLACE:PORT`: where callers are, by the port that they connect to."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import NamedTuple

from e80sim.mistakes import UserError
from sim.network.places import EdgePlace, Place, RegionPlace
from sim.network.regions import region_table
from sim.scenario.schema import Scenario

PORTS = range(65536)
EDGE = "edge"
"""The place that listeners and applications get where a scenario has none of the kind."""


class Listener(NamedTuple):
    place: str | None
    """None: the scenario's default."""
    port: int


def parse(text: str) -> Listener:
    """Raises UserError. Names of regions hold colons themselves, so the port is what follows the last."""
    place, _, port = text.rpartition(":")
    if not is_listener(text):
        raise UserError(f"--listen {text}: write it as PLACE:PORT, such as edge:8081 or aws:us-east-1:8082")
    return Listener(place, int(port))


def is_listener(text: str) -> bool:
    place, _, port = text.rpartition(":")
    return bool(place) and port.isdecimal() and int(port) in PORTS


def settle(scenario: Scenario, listeners: Iterable[Listener]) -> tuple[Scenario, list[Listener]]:
    """A scenario with a place for every listener, and the listeners by those places' names.

    A listener may name a place of the scenario, a region (`aws:us-east-1`), or `edge`. Raises UserError.
    """
    places = dict(scenario.network.places)
    settled = []
    for listener in listeners:
        wanted = listener.place
        if wanted is None or wanted in places:
            settled.append(listener)
            continue
        if wanted == EDGE:
            name = EDGE
            places[name] = EdgePlace(kind="edge")
        elif ":" in wanted:
            name = wanted.replace(":", "_").replace("-", "_")
            region = region_table().region(wanted).name
            places[name] = RegionPlace(kind="region", region=region)
        else:
            close = get_close_matches(wanted, places, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(places)}"
            raise UserError(f"--listen {wanted}:{listener.port}: there is no place {wanted}; {hint}")
        settled.append(Listener(name, listener.port))
    return _with_places(scenario, places), settled


def with_edge(scenario: Scenario) -> Scenario:
    """A scenario in which applications have a place to run at: `edge`, where it has none."""
    places = dict(scenario.network.places)
    if not any(isinstance(place, EdgePlace) for place in places.values()):
        places[EDGE if EDGE not in places else f"{EDGE}_of_apps"] = EdgePlace(kind="edge")
    return _with_places(scenario, places)


def _with_places(scenario: Scenario, places: dict[str, Place]) -> Scenario:
    network = scenario.network.model_copy(update={"places": places})
    return scenario.model_copy(update={"network": network})
