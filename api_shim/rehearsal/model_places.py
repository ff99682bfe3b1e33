"""What the places of a comparison are called in the scenario that is written of it."""

import re
from collections.abc import Collection, Sequence
from itertools import chain, count

from api_shim.rehearsal.part import Part
from api_shim.rehearsal.performance import ends_of
from sim.network.places import PlaceSpec
from sim.scenario.schema import Scenario

USERS = "users"


class ModelPlaces:
    """Names in the scenario of the users' place and the compared ones; the same host has one name."""

    def __init__(self, scenario: Scenario, part: Part, texts: Sequence[str]) -> None:
        self.places: dict[str, PlaceSpec] = dict(scenario.network.places)
        self.names: list[str] = []
        self.users = ""
        for text in texts:
            place, users = ends_of(text, part.users_at, scenario)
            if not self.users:
                self.users = self._named(part.users_at, USERS, users)
            self.names.append(self.users if place is users else self._named(text, name_of(text), place))

    def _named(self, text: str, wanted: str, place: PlaceSpec) -> str:
        if text in self.places:
            return text
        name = unused(wanted, self.places)
        self.places[name] = place
        return name


def unused(wanted: str, used: Collection[str]) -> str:
    names = chain([wanted], (f"{wanted}_{number}" for number in count(2)))
    return next(name for name in names if name not in used)


def name_of(text: str) -> str:
    """As names of a scenario are."""
    plain = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:60]
    return plain if plain[:1].isalpha() else f"app_{plain}"
