from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from sim.network.catalogue import network_facts
from sim.network.jitter import Gamma, Lognormal
from sim.network.places import (
    GATEWAY,
    CustomPlace,
    EdgePlace,
    InternetPlace,
    Place,
    PlaceSpec,
    RegionPlace,
    hops_between,
    path_between,
)
from sim.network.regions import region_table

SITE = "aws:us-east-1"
EDGE = EdgePlace(kind="edge")
PLACES: TypeAdapter[Place] = TypeAdapter(Place)


def region(name: str, *, private: bool = False) -> RegionPlace:
    return RegionPlace(kind="region", region=name, private=private)


def user(access: str, near: str = SITE, line: str | None = None) -> InternetPlace:
    return InternetPlace.model_validate({"kind": "internet", "access": access, "near": near, "line": line})


def kinds(a: PlaceSpec, b: PlaceSpec, site: str = SITE) -> list[str]:
    return [hop.kind for hop in hops_between(a, b, site)]


def rtt_ms(a: PlaceSpec, b: PlaceSpec, site: str = SITE) -> float:
    return path_between(a, b, site).rtt_ms


def test_the_edge_is_a_fabric_hop_away() -> None:
    assert kinds(EDGE, GATEWAY) == ["fabric"]
    assert rtt_ms(EDGE, GATEWAY) == 0.03


def test_both_clouds_of_the_site_are_one_metro_hop_away() -> None:
    assert (
        kinds(region("aws:us-east-1"), GATEWAY) == kinds(region("gcp:us-east4"), GATEWAY) == ["metro_xcloud"]
    )
    assert rtt_ms(region("aws:us-east-1"), GATEWAY) == rtt_ms(region("gcp:us-east4"), GATEWAY) == 2.5


def test_a_metro_hop_has_the_figure_of_its_metro() -> None:
    assert rtt_ms(region("aws:eu-west-2"), GATEWAY, site="aws:eu-west-2") == 4.2
    assert rtt_ms(region("aws:eu-west-2"), GATEWAY, site="gcp:europe-west2") == 4.2


def test_a_site_in_an_unmeasured_metro_has_the_typical_figure_and_says_so() -> None:
    (hop,) = hops_between(region("aws:eu-north-1"), GATEWAY, "aws:eu-north-1")
    assert hop.rtt_floor_ms == 2.5
    assert "not measured" in hop.source


def test_a_private_interconnect_shortens_the_metro_hop() -> None:
    assert rtt_ms(region("aws:us-east-1", private=True), GATEWAY) == 1.2


def test_regions_that_only_share_a_name_are_apart() -> None:
    los_angeles = region("gcp:us-west2")
    assert kinds(los_angeles, GATEWAY, site="aws:us-west-1") == ["inter_region", "metro_xcloud"]
    assert rtt_ms(los_angeles, GATEWAY, site="aws:us-west-1") == 11.0 + 2.5


def test_a_distant_region_adds_its_pair_to_the_metro_hop() -> None:
    far = region("aws:eu-west-1")
    pair_ms = region_table().rtt_between("aws:eu-west-1", SITE).rtt_ms
    assert kinds(far, GATEWAY) == ["inter_region", "metro_xcloud"]
    assert rtt_ms(far, GATEWAY) == pytest.approx(pair_ms + 2.5)
    assert rtt_ms(far, EDGE) == rtt_ms(far, GATEWAY)


def test_places_in_one_region_are_a_zone_apart() -> None:
    assert kinds(region(SITE), region(SITE)) == ["cross_az"]
    assert rtt_ms(region(SITE), region(SITE)) == 1.0


def test_two_clouds_in_a_metro_meet_there() -> None:
    assert kinds(region("aws:ap-northeast-1"), region("gcp:asia-northeast1")) == ["metro_xcloud"]
    assert rtt_ms(region("aws:ap-northeast-1"), region("gcp:asia-northeast1")) == 3.3


def test_a_user_has_an_access_hop_first() -> None:
    assert kinds(user("fibre"), GATEWAY) == ["fibre", "metro_xcloud"]
    assert rtt_ms(user("fibre"), GATEWAY) == 8.5
    assert kinds(user("4g"), region(SITE)) == ["4g"]
    assert kinds(user("dsl", near="aws:us-west-2"), EDGE) == ["dsl", "inter_region", "metro_xcloud"]


def test_wifi_adds_to_the_line_behind_it() -> None:
    assert kinds(user("wifi"), GATEWAY) == ["wifi", "cable", "metro_xcloud"]
    assert rtt_ms(user("wifi"), GATEWAY) == 3 + 15 + 2.5
    assert rtt_ms(user("wifi", line="fibre"), GATEWAY) == 3 + 6 + 2.5


def test_a_line_without_wifi_is_refused() -> None:
    with pytest.raises(ValidationError, match="only access wifi has a line behind it"):
        user("4g", line="dsl")


def test_a_place_is_no_hop_away_from_itself_and_looks_up_no_name() -> None:
    home = user("cable")
    loopback = path_between(home, home, SITE)
    assert loopback.hops == ()
    assert (loopback.rtt_ms, loopback.dns_lookup_ms, loopback.up_mbit_per_s) == (0, 0, inf)
    assert kinds(home, user("cable")) == ["cable", "cable"]


def test_a_path_adds_floors_composes_losses_and_takes_the_thinnest_hop() -> None:
    path = path_between(user("wifi", near="aws:us-west-2"), GATEWAY, SITE)  # WiFi, cable, region, metro
    assert path.loss_per_segment == pytest.approx(0.002 + 0.0002 + 0.00001 + 0.00001, rel=1e-3)
    assert path.up_mbit_per_s == 20
    assert path.down_mbit_per_s == 200
    assert path.confidence == "assumed"


def test_seen_from_the_other_end_up_is_down() -> None:
    back = path_between(GATEWAY, user("cable"), SITE)
    assert (back.up_mbit_per_s, back.down_mbit_per_s) == (300, 20)
    assert [hop.kind for hop in back.hops] == ["metro_xcloud", "cable"]


def test_a_long_haul_jitters_with_its_floor_and_carries_a_window_per_round_trip() -> None:
    (hop, _) = hops_between(region("aws:ap-southeast-2"), GATEWAY, SITE)
    assert hop.rtt_floor_ms > 190
    assert hop.jitter == Gamma(1, 0.015 * hop.rtt_floor_ms)
    assert hop.up_mbit_per_s == pytest.approx(20_000 / hop.rtt_floor_ms)  # 2.5 MB per round trip
    (near, _) = hops_between(region("aws:us-east-2"), GATEWAY, SITE)
    assert near.jitter == Gamma(1, 0.3)
    assert near.up_mbit_per_s == 500


def test_a_predicted_pair_says_how_and_with_what_error() -> None:
    hop, _ = hops_between(region("gcp:us-south1"), GATEWAY, SITE)
    assert "nearby_pairs" in hop.source
    assert "mean absolute error 6 ms, 23.8 to 47.6 ms in 9 of 10 such cases" in hop.source


def test_a_custom_place_is_what_it_says() -> None:
    place = PLACES.validate_python(
        {"kind": "custom", "rtt_ms": 7, "jitter": {"kind": "lognormal", "median_ms": 2, "sigma": 0.5}}
    )
    path = path_between(place, GATEWAY, SITE)
    assert path.rtt_ms == 7
    assert path.jitters == (Lognormal(2, 0.5),)
    assert path.dns_lookup_ms == 0
    assert rtt_ms(place, region("aws:eu-west-1")) == 7


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kind": "region", "region": "aws:us-east1"}, "there is no region 'aws:us-east1'; did you mean"),
        ({"kind": "internet", "access": "5g"}, "near"),
        ({"kind": "edge", "rtt_ms": 1}, "Extra inputs"),
        ({"kind": "custom", "rtt_ms": -1}, "greater than or equal to 0"),
        ({"kind": "custom", "rtt_ms": float("nan")}, "finite number"),
        ({"kind": "moon"}, "moon"),
        ({"kind": "region", "region": {"lat": 95, "lon": 0}}, "lat is 95; it must be -90 to 90 degrees"),
        ({"kind": "region", "region": {"lat": 5}}, "written as {lat: 52.52, lon: 13.4}"),
        ({"kind": "region", "region": {"lat": 5, "lon": "east"}}, "written as {lat: 52.52, lon: 13.4}"),
    ],
)
def test_a_wrong_place_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PLACES.validate_python(given)


def test_every_value_of_the_catalogue_has_a_source_and_every_kind_of_access_a_hop() -> None:
    facts = network_facts()
    values = [value for hop in facts.hops.values() for value in hop.values.values()]
    values += [
        *facts.dns_lookup.values(),
        *facts.transport.values(),
        *facts.region_prediction.values.values(),
    ]
    assert all(value.source for value in values)
    assert {"fibre", "cable", "dsl", "wifi", "4g", "5g"} <= facts.hops.keys()


regions = st.sampled_from([*sorted(region_table().regions), "@52.52,13.4", "@0,0", "@-33.9,151.2"])
ends = st.one_of(
    st.builds(EdgePlace, kind=st.just("edge")),
    st.builds(RegionPlace, kind=st.just("region"), region=regions, private=st.booleans()),
    st.builds(
        InternetPlace,
        kind=st.just("internet"),
        access=st.sampled_from(["fibre", "cable", "dsl", "wifi", "4g", "5g"]),
        near=regions,
    ),
    st.just(GATEWAY),
    st.builds(CustomPlace, kind=st.just("custom"), rtt_ms=st.floats(0, 500)),
)


def test_what_was_measured_to_one_cloud_of_a_metro_stands_for_no_third_one() -> None:
    aws, gcp, azure = (
        RegionPlace(kind="region", region=name)
        for name in ("aws:ap-northeast-2", "gcp:asia-northeast3", "azure:koreacentral")
    )
    for a, b, floor_ms in ((aws, gcp, 2.6), (aws, azure, 2.5), (gcp, azure, 2.5)):
        assert path_between(a, b, "aws:us-east-1").rtt_ms == floor_ms
        assert path_between(b, a, "aws:us-east-1").rtt_ms == floor_ms


@given(a=ends, b=ends, site=regions)
def test_the_way_back_is_the_way_there(a: PlaceSpec, b: PlaceSpec, site: str) -> None:
    there, back = path_between(a, b, site), path_between(b, a, site)
    assert there.rtt_ms == pytest.approx(back.rtt_ms)
    assert there.up_mbit_per_s == back.down_mbit_per_s
    assert there.down_mbit_per_s == back.up_mbit_per_s
    assert there.loss_per_segment == pytest.approx(back.loss_per_segment)
    assert there.rtt_ms >= 0


def test_what_a_custom_place_states_is_its_line_which_its_streams_share() -> None:
    (hop,) = hops_between(CustomPlace(kind="custom", rtt_ms=5), GATEWAY, SITE)
    assert hop.shared


def test_a_user_and_a_site_may_be_anywhere() -> None:
    user = PLACES.validate_python(
        {"kind": "internet", "access": "fibre", "near": {"lat": 48.14, "lon": 11.58}}
    )
    assert user.label == "Internet, fibre line near 48.14 N, 11.58 E"
    assert [hop.kind for hop in hops_between(user, GATEWAY, SITE)] == [
        "fibre",
        "inter_region",
        "metro_xcloud",
    ]
    berlin = "@52.52,13.4"
    assert kinds(user, GATEWAY, berlin) == [
        "fibre",
        "inter_region",
    ]  # the coordinates are the datacenter's own
    assert kinds(region("gcp:europe-west10"), GATEWAY, berlin) == ["metro_xcloud"]
    assert kinds(EDGE, GATEWAY, berlin) == ["fabric"]
    assert region(berlin).label == "a machine at 52.52 N, 13.4 E"
