"""One stretch of network between two places: a round-trip floor and what comes on top of it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from math import inf
from typing import NamedTuple

from e80sim.choices import Confidence
from hwmodels.value import Value
from sim.network.catalogue import HopFacts, NetworkFacts, Values, weakest
from sim.network.jitter import FAMILIES, Gamma, Jitter
from sim.network.regions import RegionTable


class Atlas(NamedTuple):
    """What is known of the way between places."""

    table: RegionTable
    facts: NetworkFacts


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

    @property
    def source(self) -> str:
        """Of the floor."""
        floors = [value.source for value in self.evidence if value.name.endswith("rtt_floor_ms")]
        return floors[0] if floors else "stated in the scenario"

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


def metro(atlas: Atlas, region: str, private: bool) -> Hop:
    """From `region` to a datacenter, or to another cloud's region, in its own metro area."""
    table, facts = atlas
    area = table.metros.get(region) or table.region(region).city
    if private:
        return catalogued(facts, "metro_private", f"metro {area}, private interconnect")
    rtt_ms = table.neighbour_rtt_ms(region)
    floor = None if rtt_ms is None else _floor(rtt_ms, f"AWS to GCP in {area}, region_rtt.csv", "measured")
    return catalogued(facts, "metro_xcloud", f"metro {area}, public path", floor)


def inter_region(atlas: Atlas, a: str, b: str) -> Hop:
    """Jitter grows with the floor; a single flow gets one window per round trip at most."""
    table, facts = atlas
    rtt = table.rtt_between(a, b)
    error = "" if rtt.error_ms is None else f", mean absolute error {rtt.error_ms:g} ms"
    floor = _floor(rtt.rtt_ms, f"{rtt.method}: {rtt.source}{error}", rtt.confidence)
    values = facts.hops["inter_region"].values
    hop = catalogued(facts, "inter_region", f"{a} to {b}", floor)
    scale_ms = max(values["jitter_scale_ms"].value, values["jitter_share_of_floor"].value * rtt.rtt_ms)
    window_mbit_per_s = values["megabytes_per_round_trip"].value * 8 / (rtt.rtt_ms / 1000)
    return replace(
        hop,
        jitter=Gamma(values["jitter_shape"].value, scale_ms),
        up_mbit_per_s=min(hop.up_mbit_per_s, window_mbit_per_s),
        down_mbit_per_s=min(hop.down_mbit_per_s, window_mbit_per_s),
    )


def _floor(rtt_ms: float, source: str, confidence: Confidence) -> Value:
    return Value("rtt_floor_ms", rtt_ms, source, confidence)


def evidence_of(hops: tuple[Hop, ...]) -> Values:
    """What a result over these hops rests on, by name."""
    return {value.name: value for hop in hops for value in hop.evidence}
