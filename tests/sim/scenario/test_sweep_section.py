"""How the values of a sweep are written, and what they come to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.scenario.sweep import Bounds, SweepSection, bounds_of, values_of


@pytest.mark.parametrize(
    ("stated", "values"),
    [
        ("1:4", (1, 2, 3, 4)),
        ("1:16:5", (1, 6, 11, 16)),
        ("1:15:5", (1, 6, 11)),
        ("0:1:0.25", (0.0, 0.25, 0.5, 0.75, 1.0)),
        ("0.1:0.3:0.1", (0.1, 0.2, 0.3)),
        ("1:64:*4", (1, 4, 16, 64)),
        ("1:10:*2", (1, 2, 4, 8)),
        ("0.5:2:*2", (0.5, 1.0, 2.0)),
        ("0:1:lin3", (0.0, 0.5, 1.0)),
        ("1:100:log3", (1.0, 10.0, 100.0)),
        ("-1:1", (-1, 0, 1)),
        ([10, "fcfs", {"preset": "hc1"}], (10, "fcfs", {"preset": "hc1"})),
        (7, (7,)),
    ],
)
def test_values_are_a_list_or_a_range_in_short(stated: object, values: tuple[object, ...]) -> None:
    found = values_of(stated)
    assert found == values
    assert [type(one) for one in found if isinstance(one, int)] == [
        int for one in values if isinstance(one, int)
    ]


@pytest.mark.parametrize(
    "stated",
    ["4:1", "1:4:0", "1:4:-1", "1:4:*1", "0:4:*2", "1:4:lin1", "0:4:log3", "1:4:log", "1:", "a", "", []],
)
def test_what_is_no_range_is_refused(stated: object) -> None:
    with pytest.raises(ValueError, match=r"is empty|is not|has no value"):
        values_of(stated)


def test_a_range_has_a_bound() -> None:
    assert len(values_of("1:10000")) == 10_000
    with pytest.raises(ValueError, match="10,001 values, and a field may have 10,000"):
        values_of("1:10_001")
    with pytest.raises(ValueError, match="100,100 cells, and a sweep may have 100,000"):
        SweepSection.model_validate({"grid": {"a": "0:1000", "b": "1:10", "c": "1:10"}})


@given(st.integers(1, 50), st.integers(0, 200), st.sampled_from([":log", ""]))
def test_samples_of_whole_numbers_stay_within_both_ends_and_reach_them(low: int, more: int, log: str) -> None:
    if more == 0:
        return
    bounds = bounds_of(f"{low}..{low + more}{log}")
    found = [bounds.at(share) for share in (0.0, 0.25, 0.5, 1 - 1e-12)]
    assert found == sorted(found)
    assert (found[0], found[-1]) == (low, low + more)
    assert all(isinstance(one, int) for one in found)


def test_samples_of_a_range_of_magnitudes_have_their_middle_in_the_logarithm() -> None:
    assert bounds_of("1.0..100:log").at(0.5) == pytest.approx(10.0)
    assert bounds_of("1.0..100") == Bounds(1.0, 100, log=False)
    assert bounds_of("1.0..100").at(0.5) == pytest.approx(50.5)


@pytest.mark.parametrize("stated", ["5..1", "1:5", "0..5:log", "a..b", 5])
def test_what_samples_cannot_lie_between_is_refused(stated: object) -> None:
    with pytest.raises(ValueError, match=r"is not a range|is empty|has no logarithm"):
        bounds_of(stated)


def test_fields_that_go_together_need_as_many_values_each_and_none_is_varied_twice() -> None:
    section = SweepSection.model_validate({"grid": {"a": "1:3"}, "zip": {"b": [1, 2], "c": [3, 4]}})
    assert section.cells == 6
    assert section.fields == ["a", "b", "c"]
    with pytest.raises(ValueError, match="b has 2, c has 3"):
        SweepSection.model_validate({"zip": {"b": [1, 2], "c": [3, 4, 5]}})
    with pytest.raises(ValueError, match="`a` is varied twice"):
        SweepSection.model_validate({"grid": {"a": "1:3"}, "zip": {"a": [1, 2, 3]}})
