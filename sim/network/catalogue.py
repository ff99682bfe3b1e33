"""`sim/data/network.yaml`: every number of the network model with its source and confidence."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cache
from math import inf
from pathlib import Path
from typing import Any

import yaml

from e80sim.choices import CONFIDENCES, Confidence
from hwmodels.value import Value

DATA = Path(__file__).resolve().parents[1] / "data"

LEAST_MBIT_PER_S = 0.001
"""A kilobit: below it the largest prompt would be on its way for longer than a run."""
MOST_MBIT_PER_S = 1e9
BOUNDS = {
    "_ms": (0.0, 60_000.0),
    "jitter_shape": (0.01, 100.0),
    "jitter_sigma": (0.0, 3.0),
    "loss_per_segment": (0.0, 0.5),
    "mbit_per_s": (LEAST_MBIT_PER_S, MOST_MBIT_PER_S),
    "mss_bytes": (64.0, 1e6),
    "_bytes": (1.0, 1e6),
    "_segments": (1.0, 1e6),
    "_token": (0.0, 1000.0),
    "noise_share": (0.0, 1.0),
    "share_of_floor": (0.0, 10.0),
    "megabytes_per_round_trip": (0.001, 1e6),
}
"""(least, most) of values that a scenario may state, by the ending of their names; the first that fits."""

Values = Mapping[str, Value]

TO, PAIR_VALUE = " to ", ".rtt_floor_ms"
"""Of the name of a pair's round trip: `aws:us-east-1 to azure:eastus.rtt_floor_ms`."""


@dataclass(frozen=True, slots=True)
class HopFacts:
    """What is known of one kind of hop. `jitter` is a key of `FAMILIES`; `shared`: an access line."""

    title: str
    jitter: str
    shared: bool
    values: Values


@dataclass(frozen=True, slots=True)
class ErrorClass:
    """How wrong predicted round trips of one class are: measured less predicted, ms.

    Those up to `length_km` long whose nearest measured pair is up to `away_km` away, both ends together.
    """

    mean_ms: float
    """Of absolute errors."""
    low_ms: float
    high_ms: float
    """9 of 10 errors lie from `low_ms` to here."""
    away_km: float = inf
    length_km: float = inf


@dataclass(frozen=True, slots=True)
class RegionPrediction:
    values: Values
    by_distance: ErrorClass
    """Of pairs that are predicted from their distance alone; longer ones are as wrong as those far off."""
    nearby: tuple[ErrorClass, ...]
    """Of pairs predicted from measured ones nearby, the tightest class first."""

    def error(self, away_km: float, length_km: float) -> ErrorClass:
        return next(one for one in self.nearby if away_km <= one.away_km and length_km <= one.length_km)

    def error_by_distance(self, length_km: float) -> ErrorClass:
        within = length_km <= self.by_distance.length_km
        return self.by_distance if within else self.error(inf, length_km)


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    hops: Mapping[str, HopFacts]
    dns_lookup: Values
    transport: Values
    kv_transfer: Values
    """From a node to another one, beside it."""
    region_prediction: RegionPrediction
    pairs: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """Round trips between places that a scenario states, ms; the names of a pair are sorted."""

    def with_stated(self, stated: Mapping[str, float]) -> "NetworkFacts":
        """These facts with `stated` values, by name such as `fabric.rtt_floor_ms`, over the catalogue's.

        The round trip of a pair of places goes by the name of `pair_name`, either of the two first.
        Raises ValueError where the catalogue has no value of that name.
        """
        pairs = {pair: value for name, value in stated.items() if (pair := pair_of(name))}
        unknown = next((name for name in stated if name not in self.names and not pair_of(name)), None)
        if unknown is not None:
            close = get_close_matches(unknown, self.names, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]!r}?" if close else "names are as in 'fabric.rtt_floor_ms'"
            raise ValueError(f"there is no network value {unknown!r}; {hint}")
        for name, value in stated.items():
            _require_possible(name, value)
        if not stated:
            return self
        hops = {kind: replace(hop, values=_restated(hop.values, stated)) for kind, hop in self.hops.items()}
        return replace(
            self,
            hops=hops,
            dns_lookup=_restated(self.dns_lookup, stated),
            transport=_restated(self.transport, stated),
            kv_transfer=_restated(self.kv_transfer, stated),
            pairs=pairs,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Of all values that a scenario may state."""
        groups = [
            *(hop.values for hop in self.hops.values()),
            self.dns_lookup,
            self.transport,
            self.kv_transfer,
        ]
        return tuple(value.name for values in groups for value in values.values())


@cache
def network_facts() -> NetworkFacts:
    raw = yaml.load((DATA / "network.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return NetworkFacts(
        hops={
            kind: HopFacts(hop["title"], hop["jitter"], hop["shared"], _values(kind, hop["values"]))
            for kind, hop in raw["hops"].items()
        },
        dns_lookup=_values("dns_lookup", raw["dns_lookup"]),
        transport=_values("transport", raw["transport"]),
        kv_transfer=_values("kv_transfer", raw["kv_transfer"]),
        region_prediction=RegionPrediction(
            _values("region_prediction", raw["region_prediction"]["values"]),
            ErrorClass(**raw["region_prediction"]["errors"]["by_distance"]),
            tuple(ErrorClass(**one) for one in raw["region_prediction"]["errors"]["nearby"]),
        ),
    )


def pair_name(a: str, b: str) -> str:
    """Of the round trip between two places, among the values that a scenario may state."""
    return f"{min(a, b)}{TO}{max(a, b)}{PAIR_VALUE}"


def pair_of(name: str) -> tuple[str, str] | None:
    """The two places, sorted, if `name` is that of their round trip."""
    a, to, b = name.removesuffix(PAIR_VALUE).partition(TO)
    return (min(a, b), max(a, b)) if to and name.endswith(PAIR_VALUE) else None


def _values(owner: str, raw: Mapping[str, Mapping[str, Any]]) -> Values:
    return {name: Value(name=f"{owner}.{name}", **value) for name, value in raw.items()}


def _require_possible(name: str, value: float) -> None:
    least, most = bounds_of(name)
    if not least <= value <= most:
        raise ValueError(
            f"network value {name} is {value:g}; it must be at least {least:g} and at most {most:g}"
        )


def bounds_of(name: str) -> tuple[float, float]:
    """(least, most) of the value of this name."""
    return next(bounds for ending, bounds in BOUNDS.items() if name.endswith(ending))


def _restated(values: Values, stated: Mapping[str, float]) -> Values:
    return {
        key: Value(value.name, stated[value.name], "scenario", "assumed") if value.name in stated else value
        for key, value in values.items()
    }


def weakest(values: tuple[Value, ...]) -> Confidence:
    """How far to trust a result that rests on all of them."""
    return max((value.confidence for value in values), key=CONFIDENCES.index, default="assumed")
