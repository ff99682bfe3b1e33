"""Values of the network catalogue that a scenario states otherwise."""

import numpy as np
import pytest
from pydantic import ValidationError

from sim.network import Network
from sim.network.catalogue import network_facts
from sim.scenario.schema import NetworkSection as Settings
from sim.time.units import PS_PER_MS

PLACES = {
    "edge": {"kind": "edge"},
    "cloud": {"kind": "region", "region": "gcp:us-west2"},
    "home": {"kind": "internet", "access": "cable", "near": "gcp:us-east4"},
}


def network(values: dict[str, float]) -> Network:
    return Network(Settings.model_validate({"places": PLACES, "values": values}))


def test_a_stated_value_stands_instead_of_the_catalogues() -> None:
    stated = network({"fabric.rtt_floor_ms": 4.0, "dns_lookup.edge_ms": 2.0})
    assert stated.path("edge").rtt_ms == 4.0
    assert stated.path("edge").dns_lookup_ms == 2.0
    assert stated.path("home").rtt_ms == network({}).path("home").rtt_ms


def test_a_user_behind_a_stated_line_is_as_far_as_it_says_in_both_directions() -> None:
    stated = network({"cable.rtt_floor_ms": 40.0, "cable.up_mbit_per_s": 5.0})
    out, back = stated.path("home", "edge"), stated.path("edge", "home")
    assert out.rtt_ms == back.rtt_ms
    assert out.rtt_ms - network({}).path("home", "edge").rtt_ms == pytest.approx(25.0)
    assert (out.up_mbit_per_s, back.down_mbit_per_s) == (5.0, 5.0)


def test_what_is_known_of_a_pair_of_regions_stays() -> None:
    stated, plain = network({"inter_region.megabytes_per_round_trip": 1.25}), network({})
    assert stated.path("cloud").rtt_ms == plain.path("cloud").rtt_ms
    assert stated.path("cloud").up_mbit_per_s == pytest.approx(plain.path("cloud").up_mbit_per_s / 2)


def test_the_round_trip_of_a_pair_may_be_stated_in_either_order() -> None:
    plain = network({}).path("cloud").rtt_ms
    for pair in ("aws:us-east-1 to gcp:us-west2", "gcp:us-west2 to aws:us-east-1"):
        stated = network({f"{pair}.rtt_floor_ms": 12.0}).path("cloud")
        assert stated.rtt_ms == pytest.approx(12.0 + 2.5)  # and across the metro to the platform
        assert stated.rtt_ms < plain
        assert stated.hops[0].pair is not None
        assert stated.hops[0].pair.method == "stated"


def test_a_stated_pair_of_one_metro_is_that_of_two_regions() -> None:
    home = network({"aws:us-east-1 to gcp:us-east4.rtt_floor_ms": 0.0}).path("home")
    assert [hop.kind for hop in home.hops] == ["cable", "inter_region", "metro_xcloud"]
    assert home.rtt_ms == pytest.approx(15 + 2.5)


def test_stated_transport_reaches_the_wire() -> None:
    """5 bytes a token more for 1,000 tokens over 25 Gbit/s (the fabric) are 1.6 µs."""
    flat = {"transport.bytes_per_prompt_token": 4.0, "transport.initial_window_segments": 100.0}
    arrivals = [
        network({**flat, "transport.bytes_per_prompt_token": size})
        .link("edge", None, np.random.default_rng(1))
        .send(0, 1000)
        .arrived_ps
        for size in (4.0, 9.0)
    ]
    assert (arrivals[1] - arrivals[0]) / PS_PER_MS == pytest.approx(0.0016)


def test_a_stated_value_is_the_scenarios_assumption() -> None:
    (row,) = [
        row
        for row in network({"fabric.rtt_floor_ms": 0.02}).assumptions([("edge", None)])
        if row["what"] == "fabric beside the accelerators: rtt_floor_ms"
    ]
    assert (row["value"], row["source"]) == (0.02, "scenario")


def test_stating_nothing_changes_nothing() -> None:
    assert network_facts().with_stated({}) is network_facts()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"fabric.rtt_flor_ms": 1.0},
            "no network value 'fabric.rtt_flor_ms'; did you mean 'fabric.rtt_floor_ms'",
        ),
        ({"cable.up_mbit_per_s": 0.0}, "cable.up_mbit_per_s is 0; it must be at least 0.001"),
        (
            {"cable.loss_per_segment": 0.9},
            "cable.loss_per_segment is 0.9; it must be at least 0 and at most 0.5",
        ),
        ({"aws:us-east1 to gcp:us-east4.rtt_floor_ms": 1.0}, "no region 'aws:us-east1'; did you mean"),
        ({"aws:us-east-1 to gcp:us-east4.rtt_floor_ms": -1.0}, "is -1; it must be at least 0"),
        ({"dns_lookup.edge_ms": -1.0}, "dns_lookup.edge_ms is -1; it must be at least 0"),
    ],
)
def test_an_impossible_value_is_refused(values: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        network(values)
