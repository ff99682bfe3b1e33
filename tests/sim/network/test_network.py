from dataclasses import dataclass, field

import numpy as np
import pytest

from sim.network import Network
from sim.network.keep_alive import Tls
from sim.network.places import CustomPlace, EdgePlace, InternetPlace, Place, RegionPlace


@dataclass(frozen=True)
class Settings:
    site: str = "aws:us-east-1"
    tls: Tls = "1.3"
    dns_lookup_ms: float | None = None
    idle_timeout_s: float = 60.0
    values: dict[str, float] = field(default_factory=dict)
    places: dict[str, Place] = field(
        default_factory=lambda: {
            "edge": EdgePlace(kind="edge"),
            "cloud": RegionPlace(kind="region", region="gcp:us-east4"),
            "home": InternetPlace(kind="internet", access="cable", near="gcp:us-east4"),
            "lab": CustomPlace(kind="custom", rtt_ms=0),
        }
    )


def test_a_path_leads_to_the_gateway_unless_a_place_is_named() -> None:
    network = Network(Settings())
    assert network.path("cloud").rtt_ms == 2.5
    assert network.path("home", "cloud").rtt_ms == 15
    assert network.path("home", "home").hops == ()


def test_a_lookup_costs_by_the_callers_place_unless_the_scenario_says_so() -> None:
    network, stated = Network(Settings()), Network(Settings(dns_lookup_ms=5))
    assert [network.path(name).dns_lookup_ms for name in ("edge", "cloud", "home", "lab")] == [0.1, 1, 20, 0]
    assert stated.link("edge", None, np.random.default_rng(1)).keep_alive.dns_lookup_ms == 5
    free = stated.link("lab", None, np.random.default_rng(1)).send(0, 1000)
    assert free.arrived_ps == 0


def test_a_site_that_is_no_region_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no region 'aws:us-east1'; did you mean 'aws:us-east-1'"):
        Network(Settings(site="aws:us-east1")).path("edge", "cloud")


def test_assumptions_are_those_of_the_legs_in_use_and_each_stands_once() -> None:
    network = Network(Settings())
    rows = network.assumptions([("edge", None), ("edge", None)])
    names = [row["what"] for row in rows]
    assert len(names) == len(set(names))
    assert "fabric beside the accelerators: rtt_floor_ms" in names
    assert "dns lookup: edge_ms" in names
    assert "transport: noise_share" in names
    assert not any("cable" in name for name in names)
    assert all(row["confidence"] == "assumed" for row in rows)
    assert network.assumptions([("home", "home")]) == []
