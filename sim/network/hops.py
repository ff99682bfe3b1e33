"""One stretch of network between two places: a round-trip floor and what comes on top of it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from math import inf
from typing import NamedTuple

from e80sim.choices import Confidence
from hwmodels.value import Value
from sim.network.catalogue import PAIR_VALUE, HopFacts, NetworkFacts, Values, pair_name, weakest
from sim.network.jitter import FAMILIES, Gamma, Jitter
from sim.network.regions import RegionTable, RttEstimate

LEAST_MS = 0.001
"""A stated round trip may be none at all, and a window still takes some time."""


class Atlas(NamedTuple):
    """What is known of the way between places."""

    table: RegionTable
    facts: NetworkFacts

    def rtt_between(self, a: str, b: str) -> RttEstimate:
        """As the scenario states it, else as the table knows or predicts it. Either order of a and b."""
        stated = self._stated(a, b)
        if stated is None:
            return self.table.rtt_between(a, b)
        return RttEstimate(stated, "stated", None, "assumed", "scenario")

    def in_one_metro(self, a: str, b: str) -> bool:
        """Unless the scenario states their round trip, which then is that of two regions."""
        return self._stated(a, b) is None and self.table.same_metro(a, b)

    def _stated(self, a: str, b: str) -> float | None:
        return self.facts.pairs.get((min(a, b), max(a, b)))


@dataclass(frozen=True, slots=True)
class Hop:
    """Rates of `inf` do not limit. `evidence`: the catalogue's values behind it, none if a user states it.

    `shared`: all streams of the caller share the rates, which are those of its access line. Elsewhere each
    stream has them for itself: they are what one TCP connection gets.
    """

    name: str
    kind: str
    rtt_floor_ms: float
    jitter: Jitter | None = None
    loss_per_segment: float = 0.0
    up_mbit_per_s: float = inf
    down_mbit_per_s: float = inf
    evidence: tuple[Value, ...] = ()
    shared: bool = False
    pair: RttEstimate | None = None
    """Of a hop between regions: how its floor is known."""

    @property
    def floor(self) -> Value | None:
        """None if a user states the whole hop."""
        floors = [value for value in self.evidence if value.name.endswith("rtt_floor_ms")]
        return floors[0] if floors else None

    @property
    def source(self) -> str:
        """Of the floor."""
        return "stated in the scenario" if self.floor is None else self.floor.source

    @property
    def confidence(self) -> Confidence:
        """Of the weakest value."""
        return weakest(self.evidence)

    def reversed(self) -> "Hop":
        """Seen from the other end. Who else uses a line there is unknown: it bounds each stream by itself."""
        return replace(
            self, up_mbit_per_s=self.down_mbit_per_s, down_mbit_per_s=self.up_mbit_per_s, shared=False
        )


def catalogued(facts: NetworkFacts, kind: str, name: str | None = None, floor: Value | None = None) -> Hop:
    """A hop of the catalogue, with the floor of this very place where one is given."""
    known = facts.hops[kind]
    values = dict(known.values)
    if floor is not None:
        values["rtt_floor_ms"] = floor
    return Hop(
        name=name or known.title,
        kind=kind,
        rtt_floor_ms=values["rtt_floor_ms"].value,
        jitter=_jitter(known, values),
        loss_per_segment=values["loss_per_segment"].value,
        up_mbit_per_s=values["up_mbit_per_s"].value,
        down_mbit_per_s=values["down_mbit_per_s"].value,
        evidence=tuple(values.values()),
        shared=known.shared,
    )


def _jitter(facts: HopFacts, values: Mapping[str, Value]) -> Jitter:
    family = FAMILIES[facts.jitter]
    return family(**{field.name: values[f"jitter_{field.name}"].value for field in fields(family)})


def metro(atlas: Atlas, region: str, private: bool, other: str | None = None) -> Hop:
    """From `region` to a datacenter, or to the region `other` of another cloud, in its own metro area.

    What was measured to one cloud there stands for the datacenter, and for no third cloud.
    """
    table, facts = atlas
    area = table.metros.get(region) or table.region(region).city
    if private:
        return catalogued(facts, "metro_private", f"metro {area}, private interconnect")
    rtt_ms = table.neighbour_rtt_ms(region) if other is None else table.measured_rtt_ms(region, other)
    source = f"AWS to GCP in {area}, region_rtt.csv"
    floor = None if rtt_ms is None else Value(f"{area}{PAIR_VALUE}", rtt_ms, source, "measured")
    return catalogued(facts, "metro_xcloud", f"metro {area}, public path", floor)


def inter_region(atlas: Atlas, a: str, b: str) -> Hop:
    """Jitter grows with the floor; a single flow gets one window per round trip at most."""
    rtt = atlas.rtt_between(a, b)
    facts = atlas.facts
    floor = Value(pair_name(a, b), rtt.rtt_ms, rtt.says, rtt.confidence, rtt.low_ms, rtt.high_ms)
    values = facts.hops["inter_region"].values
    hop = catalogued(facts, "inter_region", f"{a} to {b}", floor)
    scale_ms = max(values["jitter_scale_ms"].value, values["jitter_share_of_floor"].value * rtt.rtt_ms)
    window_mbit_per_s = values["megabytes_per_round_trip"].value * 8000 / max(rtt.rtt_ms, LEAST_MS)
    return replace(
        hop,
        pair=rtt,
        jitter=Gamma(values["jitter_shape"].value, scale_ms),
        up_mbit_per_s=min(hop.up_mbit_per_s, window_mbit_per_s),
        down_mbit_per_s=min(hop.down_mbit_per_s, window_mbit_per_s),
    )


def evidence_of(hops: tuple[Hop, ...]) -> Values:
    """What a result over these hops rests on, by name."""
    return {value.name: value for hop in hops for value in hop.evidence}
