"""A scenario's network: its places, and the paths and links between them."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from numpy.random import Generator

from hwmodels.value import Value
from sim.network.connections import Link
from sim.network.facts import network_facts
from sim.network.hops import evidence_of
from sim.network.keep_alive import KeepAlive, Tls
from sim.network.path import Path
from sim.network.places import GATEWAY, CustomPlace, EdgePlace, End, InternetPlace, RegionPlace, path_between

Leg = tuple[str, str | None]
"""Names of two places, None for the gateway."""


class Settings(Protocol):
    """The section `network` of a scenario."""

    @property
    def site(self) -> str: ...
    @property
    def tls(self) -> Tls: ...
    @property
    def dns_lookup_ms(self) -> float | None:
        """Absent: by the kind of place. A custom place has its own."""
        ...

    @property
    def idle_timeout_s(self) -> float: ...
    @property
    def places(self) -> Mapping[str, EdgePlace | RegionPlace | InternetPlace | CustomPlace]: ...


class Network:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def path(self, a: str, b: str | None = None) -> Path:
        """From place `a` to place `b`, by default the gateway."""
        return path_between(self._end(a), self._end(b), self._settings.site)

    def link(
        self,
        a: str,
        b: str | None,
        rng: Generator,
        *,
        connections: Literal["pooled", "per_request"] = "pooled",
        users: int = 1,
    ) -> Link:
        """The connections of a caller at `a` to a server at `b`."""
        settings = self._settings
        keep_alive = KeepAlive(
            connections=connections,
            users=users,
            idle_timeout_s=settings.idle_timeout_s,
            tls=settings.tls,
            dns_lookup_ms=None if isinstance(self._end(a), CustomPlace) else settings.dns_lookup_ms,
        )
        return Link(self.path(a, b), rng, keep_alive)

    def assumptions(self, legs: Sequence[Leg]) -> list[dict[str, Any]]:
        """Every assumed value that results over these legs rest on, each once, by a readable name."""
        facts = network_facts()
        titles = {kind: hop.title for kind, hop in facts.hops.items()}
        rows: dict[str, dict[str, Any]] = {}
        for a, b in legs:
            path = self.path(a, b)
            values = [*evidence_of(path.hops).values(), *self._dns(a, path), *facts.transport.values()]
            for value in values if path.hops else ():
                if value.confidence == "assumed":
                    rows[value.name] = _row(value, titles)
        return list(rows.values())

    def _dns(self, a: str, path: Path) -> list[Value]:
        if self._settings.dns_lookup_ms is not None or not path.dns_lookup_ms:
            return []
        kind = self._settings.places[a].kind
        value = network_facts().dns_lookup.get(f"{kind}_ms")
        return [] if value is None else [value]

    def _end(self, name: str | None) -> End:
        return GATEWAY if name is None else self._settings.places[name]


def _row(value: Value, titles: Mapping[str, str]) -> dict[str, Any]:
    owner, _, name = value.name.rpartition(".")
    title = titles.get(owner, owner.replace("_", " "))
    return {
        "what": f"{title}: {name}",
        "value": value.value,
        "unit": value.unit,
        "source": value.source,
        "confidence": value.confidence,
    }
