"""`sim/data/network.yaml`: every number of the network model with its source and confidence."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from hwmodels.value import CONFIDENCES, Confidence, Value

DATA = Path(__file__).resolve().parents[1] / "data"

Values = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class HopFacts:
    """What is known of one kind of hop. `jitter` is `gamma` or `lognormal`."""

    title: str
    jitter: str
    values: Values


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    hops: Mapping[str, HopFacts]
    dns_lookup: Values
    transport: Values
    region_prediction: Values


@cache
def network_facts() -> NetworkFacts:
    raw = yaml.load((DATA / "network.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return NetworkFacts(
        hops={
            kind: HopFacts(hop["title"], hop["jitter"], _values(kind, hop["values"]))
            for kind, hop in raw["hops"].items()
        },
        dns_lookup=_values("dns_lookup", raw["dns_lookup"]),
        transport=_values("transport", raw["transport"]),
        region_prediction=_values("region_prediction", raw["region_prediction"]),
    )


def _values(owner: str, raw: Mapping[str, Mapping[str, Any]]) -> Values:
    return {name: Value(name=f"{owner}.{name}", **value) for name, value in raw.items()}


def weakest(values: tuple[Value, ...]) -> Confidence:
    """How far to trust a result that rests on all of them."""
    return max((value.confidence for value in values), key=CONFIDENCES.index, default="assumed")
