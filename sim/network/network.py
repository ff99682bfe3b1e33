"""A scenario's network: its places, and the paths and links between them."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Protocol

from numpy.random import Generator

from hwmodels.value import Value
from sim.network.catalogue import network_facts
from sim.network.connections import Link, ps_per_byte
from sim.network.hops import Hop, evidence_of
from sim.network.keep_alive import Connections, KeepAlive, Tls
from sim.network.path import Path
from sim.network.places import GATEWAY, Place, PlaceSpec, path_between
from sim.network.transport import transport_of
from sim.network.trouble import Trouble
from sim.network.variates import MESSAGE_BLOCK
from sim.time.units import PS_PER_MS

Leg = tuple[str, str | None]
"""Names of two places, None for the gateway."""


class NetworkSettings(Protocol):
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
    def values(self) -> Mapping[str, float]:
        """Stated instead of the catalogue's, by name."""
        ...

    @property
    def places(self) -> Mapping[str, Place]: ...


class Network:
    def __init__(self, settings: NetworkSettings) -> None:
        self._settings = settings
        self._facts = network_facts().with_stated(settings.values)
        self.wire = transport_of(self._facts)
        self.path = cache(self._path)
        """(a, b) -> from place `a` to place `b`, by default the gateway, as None is. Links share it."""
        self.trouble = cache(_no_trouble)
        """(a, b) -> what is wrong with that path. Links share it, too."""

    def _path(self, a: str | None, b: str | None = None) -> Path:
        return self.path_between(self._end(a), self._end(b))

    def path_between(self, a: PlaceSpec, b: PlaceSpec) -> Path:
        """From `a` to `b`, which the scenario need not name."""
        return path_between(a, b, self._settings.site, self._facts)

    def keep_alive(self, a: PlaceSpec, connections: Connections = "pooled", users: int = 1) -> KeepAlive:
        """How a caller at `a` treats its connections."""
        settings = self._settings
        return KeepAlive(
            connections=connections,
            users=users,
            idle_timeout_s=settings.idle_timeout_s,
            tls=settings.tls,
            dns_lookup_ms=None if a.states_dns else settings.dns_lookup_ms,
        )

    def link(
        self,
        a: str | None,
        b: str | None,
        rng: Generator,
        *,
        connections: Connections = "pooled",
        users: int = 1,
        block: int = MESSAGE_BLOCK,
    ) -> Link:
        """The connections of a caller at `a` to a server at `b`; None is the gateway."""
        keep_alive = self.keep_alive(self._end(a), connections, users)
        return Link(self.path(a, b), rng, keep_alive, self.wire, block, self.trouble(a, b))

    def kv_transfer(self, bytes_per_token: int) -> Callable[[int], int]:
        """How long the KV cache of so many tokens takes from node to node, in ps, with the line to itself."""
        values = self._facts.kv_transfer
        latency_ps = round(values["latency_ms"].value * PS_PER_MS)
        ps_per_token = bytes_per_token * ps_per_byte(values["mbit_per_s"].value)
        return lambda tokens: latency_ps + round(tokens * ps_per_token)

    def transfer_assumptions(self) -> list[dict[str, Any]]:
        """As `assumptions`, of what transfers between nodes rest on."""
        return [
            _row(value, {}) for value in self._facts.kv_transfer.values() if value.confidence == "assumed"
        ]

    def assumptions(self, legs: Sequence[Leg]) -> list[dict[str, Any]]:
        """Every assumed value and predicted pair that results over these legs rest on, by readable names."""
        titles = {kind: hop.title for kind, hop in self._facts.hops.items()}
        predicted = {hop.floor for hop in self.predicted(legs)}
        return [
            _row(value, titles)
            for value in self.values(legs)
            if value.confidence == "assumed" or value in predicted
        ]

    def predicted(self, legs: Sequence[Leg]) -> list[Hop]:
        """Every hop of these legs whose round trip is that of two places that nobody measured, each once."""
        hops = (hop for a, b in legs for hop in self.path(a, b).hops)
        found = {hop.floor: hop for hop in hops if hop.pair is not None and hop.pair.error_ms is not None}
        return list(found.values())

    def values(self, legs: Sequence[Leg]) -> list[Value]:
        """Every value that results over these legs rest on, each once."""
        found: dict[str, Value] = {}
        for a, b in legs:
            path = self.path(a, b)
            if path.hops:
                found |= evidence_of(path.hops)
                transport = self._facts.transport.values()
                found |= {value.name: value for value in (*self._dns(a, path), *transport)}
        return list(found.values())

    def _dns(self, a: str, path: Path) -> list[Value]:
        if self._settings.dns_lookup_ms is not None or not path.dns_lookup_ms:
            return []
        place = self._end(a)
        return [] if place.states_dns else [self._facts.dns_lookup[place.resolver]]

    def _end(self, name: str | None) -> PlaceSpec:
        return GATEWAY if name is None else self._settings.places[name]


def _no_trouble(_a: str | None, _b: str | None) -> Trouble:
    return Trouble()


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
