import importlib.util
import os
from collections import defaultdict
from itertools import combinations
from pathlib import Path
from statistics import fmean, median
from types import ModuleType

import pytest

from sim.network.catalogue import DATA, network_facts
from sim.network.regions import Region, RegionTable, distance_km, region_table, rtt_between

ROOT = Path(__file__).resolve().parents[3]
PREDICTION = network_facts().region_prediction


def raw_data() -> Path:
    folder = os.environ.get("E80SIM_DATA")
    if folder is None:
        pytest.skip("E80SIM_DATA is not set: it names the folder with the raw tables")
    return Path(folder)


def build_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "build_region_table", ROOT / "docs/data/build_region_table.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_tables_are_what_the_script_makes_of_the_raw_ones() -> None:
    for name, text in build_script().build(raw_data()).items():
        assert (DATA / name).read_text(encoding="utf-8") == text


def test_every_pair_stands_once_and_no_region_with_itself() -> None:
    table = region_table()
    lines = [
        line
        for line in (DATA / "region_rtt.csv").read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    ]
    assert len(lines) - 1 == len(table.rtts) == 1161
    assert all(a < b for a, b in table.rtts)
    assert all(rtt_ms > 0 for rtt_ms in table.rtts.values())


def test_all_aws_regions_were_measured_against_each_other() -> None:
    table = region_table()
    aws = sorted(name for name in table.regions if name.startswith("aws:"))
    assert len(aws) == 32
    assert all(pair in table.rtts for pair in combinations(aws, 2))


def test_any_two_regions_have_a_figure_that_does_not_depend_on_their_order() -> None:
    for a, b in combinations(region_table().regions, 2):
        there, back = rtt_between(a, b), rtt_between(b, a)
        assert there.rtt_ms == back.rtt_ms
        assert there.method == back.method
        assert there.rtt_ms > 0


def test_a_measured_pair_is_quoted() -> None:
    found = rtt_between("gcp:us-east4", "aws:us-east-1")
    assert found == (2.5, "measured", None, "measured", "region_rtt.csv")


@pytest.mark.parametrize(
    ("a", "b", "rtt_ms"),
    [
        ("aws:eu-west-2", "gcp:europe-west2", 4.2),
        ("aws:ap-southeast-1", "gcp:asia-southeast1", 2.2),
        ("aws:us-west-1", "gcp:us-west2", 11.0),
        ("aws:us-west-2", "gcp:us-west1", 15.9),
    ],
)
def test_named_metros_have_their_own_figures(a: str, b: str, rtt_ms: float) -> None:
    assert rtt_between(a, b).rtt_ms == rtt_ms


def test_thirteen_metros_are_named_and_eleven_of_them_are_one_place() -> None:
    assert len((DATA / "metros.csv").read_text(encoding="utf-8").splitlines()) == 4 + 1 + 13
    assert len(region_table().metros) == 22
    assert not region_table().same_metro("aws:us-west-1", "gcp:us-west2")
    assert region_table().same_metro("aws:us-east-1", "gcp:us-east4")


def test_two_clouds_in_one_city_that_nobody_measured_get_the_metro_figure() -> None:
    paris = rtt_between("aws:eu-west-3", "gcp:europe-west9")
    assert (paris.rtt_ms, paris.method, paris.error_ms, paris.confidence) == (
        2.5,
        "same_metro",
        0.5,
        "derived",
    )


def test_an_unmeasured_region_borrows_from_the_nearest_measured_pair() -> None:
    # Tel Aviv has AWS figures only; both clouds give the same coordinates for it, and gcp:us-east4 lies
    # 32 km from aws:us-east-1. aws:il-central-1 to aws:us-east-1 is 137.3 ms, and the ends are 2 km nearer.
    found = rtt_between("gcp:me-west1", "gcp:us-east4")
    assert found.method == "nearest_pair"
    assert found.rtt_ms == pytest.approx(137.3, abs=0.1)
    assert found.error_ms == 9.5
    assert "aws:il-central-1 to aws:us-east-1" in found.source


def test_two_near_regions_without_a_measured_neighbour_go_by_distance() -> None:
    found = rtt_between("gcp:africa-south1", "aws:af-south-1")  # 1,260 km: 6.8 + 0.018 * 1260 = 29.5
    assert (found.method, found.rtt_ms, found.error_ms) == ("distance", 29.5, 6)


def test_no_prediction_is_faster_than_light_in_fibre() -> None:
    table = region_table()
    for a, b in combinations(table.regions, 2):
        if (a, b) not in table.rtts:
            apart_km = distance_km(table.regions[a], table.regions[b])
            assert rtt_between(a, b).rtt_ms >= round(0.00979 * apart_km, 1)


def test_a_quarter_of_the_equator_is_as_long_as_from_the_equator_to_the_pole() -> None:
    origin, east, pole = (Region("x:y", "", *at) for at in ((0.0, 0.0), (0.0, 90.0), (90.0, 0.0)))
    assert distance_km(origin, east) == pytest.approx(10_007.5, abs=0.1)
    assert distance_km(origin, pole) == pytest.approx(10_007.5, abs=0.1)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("us-east-1", "'aws:us-east-1'"),
        ("aws:us-east1", "'aws:us-east-1'"),
        ("gcp:eu-west-1", "'aws:eu-west-1'"),
        ("moon", "regions are written as 'aws:us-east-1' or 'gcp:us-east4'"),
    ],
)
def test_an_unknown_region_is_refused_with_the_nearest_spelling(name: str, hint: str) -> None:
    with pytest.raises(ValueError, match="there is no region") as caught:
        rtt_between(name, "aws:us-east-2")
    assert repr(name) in str(caught.value)
    assert hint in str(caught.value)


def test_a_region_to_itself_is_no_pair() -> None:
    with pytest.raises(ValueError, match="a hop inside a region"):
        rtt_between("aws:us-east-1", "aws:us-east-1")


def withheld_errors(table: RegionTable) -> dict[tuple[str, float | None], list[float]]:
    """Leave one region out: absolute errors by method and the error that the method states."""
    errors: dict[tuple[str, float | None], list[float]] = defaultdict(list)
    for left_out in sorted({region for pair in table.rtts for region in pair}):
        kept = {pair: rtt for pair, rtt in table.rtts.items() if left_out not in pair}
        rest = RegionTable(table.regions, kept, {})
        for (a, b), rtt_ms in table.rtts.items():
            apart_km = distance_km(table.regions[a], table.regions[b])
            if left_out in (a, b) and apart_km >= PREDICTION["same_metro_km"].value:
                found = rest.rtt_between(a, b)
                errors[found.method, found.error_ms].append(abs(found.rtt_ms - rtt_ms))
    return errors


def test_the_errors_that_predictions_state_are_those_of_leaving_a_region_out() -> None:
    errors = withheld_errors(region_table())
    assert sum(map(len, errors.values())) == 2300
    assert {method for method, _ in errors} == {"nearest_pair", "distance"}
    for (_, stated_ms), found in errors.items():
        assert stated_ms is not None
        assert fmean(found) == pytest.approx(stated_ms, rel=0.05)


def test_the_metro_figure_errs_by_half_a_millisecond() -> None:
    table = region_table()
    measured = [rtt for (a, b), rtt in table.rtts.items() if table.metros.get(a, 0) == table.metros.get(b, 1)]
    assert len(measured) == 11
    assert fmean(abs(rtt - 2.5) for rtt in measured) == pytest.approx(0.5, abs=0.05)
    assert median(measured) == pytest.approx(2.8)


@pytest.mark.parametrize(
    ("clouds", "reference_mae_ms"),
    [(("aws", "aws"), 13.2), (("gcp", "gcp"), 8.1), (("aws", "gcp"), 11.1)],
)
def test_a_withheld_pair_is_predicted_no_worse_than_from_both_ends_at_once(
    clouds: tuple[str, str], reference_mae_ms: float
) -> None:
    # The reference errors belong to the mean of two predictions, one from the nearest neighbour of either
    # end; the neighbour that is nearer of the two does better.
    pairs = build_script().round_trips(raw_data() / "network")
    pairs = {pair: rtt for pair, rtt in pairs.items() if (pair[0][:3], pair[1][:3]) == clouds}
    regions = region_table().regions
    errors = []
    for pair, rtt_ms in pairs.items():
        if distance_km(regions[pair[0]], regions[pair[1]]) < 50:
            continue
        rest = RegionTable(regions, {other: pairs[other] for other in pairs if other != pair}, {})
        errors.append(abs(rest.rtt_between(*pair).rtt_ms - rtt_ms))
    assert reference_mae_ms * 0.6 < fmean(errors) <= reference_mae_ms
