import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.headlines import Headline
from reports.uncertainty import (
    Input,
    Study,
    band,
    influences,
    noise,
    spearman,
    uncertainty_again,
    uncertainty_json,
    uncertainty_table,
)

FELT = Headline("edge", "chat", "felt", "p95")


def study(values: object, **results: list[float]) -> Study:
    """One result per variant: its felt p95 in each draw."""
    drawn = np.asarray(values, np.float64)
    inputs = tuple(Input(f"value_{i}", None, 0.0, 1.0, "assumed") for i in range(drawn.shape[1]))
    rows = [
        {FELT._replace(variant=variant): found[draw] for variant, found in results.items()}
        for draw in range(len(drawn))
    ]
    return Study(inputs, drawn, rows, len(rows), ("other",), 3, "edge")


def test_a_band_holds_the_middle_nine_tenths() -> None:
    # 0, 1, ... 20: positions 1, 10 and 19 of 20 gaps
    assert band(np.arange(21.0)) == {"low": 1.0, "median": 10.0, "high": 19.0}


def test_a_band_needs_five_draws_that_have_the_number() -> None:
    assert band(np.array([1.0, 2.0, math.nan, 3.0, 4.0])) is None


def test_a_rank_correlation_worked_by_hand() -> None:
    # Ranks 1 2 3 4 5 and 2 1 4 3 5: the squared differences add up to 4; 1 - 6 x 4 / (5 x 24) = 0.8.
    assert spearman(np.arange(5.0), np.array([20.0, 10.0, 40.0, 30.0, 50.0])) == pytest.approx(0.8)
    assert spearman(np.arange(5.0), np.ones(5)) == 0.0


@settings(deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=4, max_size=40), st.integers(0, 10_000))
def test_rank_correlations_agree_with_scipy(values: list[int], seed: int) -> None:
    from scipy.stats import spearmanr

    one, other = np.array(values, np.float64), np.random.default_rng(seed).integers(0, 5, len(values))
    if len(set(values)) > 1 and len(set(other.tolist())) > 1:
        expected = float(spearmanr(one, other).statistic)
        assert spearman(one, other.astype(np.float64)) == pytest.approx(expected, abs=1e-12)


def test_the_strongest_influence_comes_first_with_its_swing_between_the_outer_thirds() -> None:
    first = np.arange(9.0)
    second = np.array([4.0, 0, 7, 2, 8, 1, 6, 3, 5])
    strong, weak = influences(np.stack([second, first], axis=1), -10 * first)
    # The draws with `first` 0 1 2 have results 0 -10 -20, those with 6 7 8 have -60 -70 -80.
    assert (strong.column, strong.spearman, strong.at_low, strong.at_high) == (1, -1.0, -10.0, -70.0)
    assert strong.swing == -60.0
    assert abs(weak.spearman) < noise(9)


def test_a_difference_is_taken_within_each_draw() -> None:
    # Each draw moves both variants alike: their bands are wide, and their difference has none.
    base = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    found = uncertainty_json(study(np.zeros((6, 1)), edge=base, cloud=[value + 0.5 for value in base]))
    assert found["bands"]["cloud"][0]["metric"]["felt"]["p95"]["median"] == 4.0
    (difference,) = found["differences"]["cloud"]
    assert difference["metric"]["felt"]["p95"] == {"low": 0.5, "median": 0.5, "high": 0.5}
    assert "edge" not in found["differences"]


def two_laws() -> Study:
    """Edge and cloud run other laws, which have a value of one name; each moves its own variant alone."""
    first, second = np.array([0.0, 1, 2, 3, 4, 5]), np.array([5.0, 0, 4, 1, 3, 2])
    made = study(np.stack([first, second], axis=1), edge=list(first), cloud=list(10 * second))
    laws = tuple(Input("step_ms", "m", 0.0, 5.0, "assumed", (variant,)) for variant in ("edge", "cloud"))
    return replace(made, inputs=laws)


def test_a_variant_is_moved_by_the_values_that_it_rests_on_alone() -> None:
    # Across the two laws the ranks correlate too, by chance: -0.37.
    found = uncertainty_json(two_laws())["tornado"]
    for variant, swing in (("edge", 4.0), ("cloud", 40.0)):
        (row,) = found[variant][0]["rows"]
        assert (row["name"], row["spearman"], row["swing"]) == ("step_ms", 1.0, swing)


def test_values_of_one_name_have_a_column_each_and_the_table_makes_the_section_again() -> None:
    made = two_laws()
    told, table = uncertainty_json(made), uncertainty_table(made)
    assert table.column_names[1:3] == ["value/m/step_ms", "value/m/step_ms/cloud"]
    assert uncertainty_again(table, told, "edge") == told


def test_few_draws_and_values_without_a_range_are_told() -> None:
    notes = uncertainty_json(study(np.zeros((6, 1)), edge=[1.0] * 6))["notes"]
    assert any("6 draws: take 20 or more" in note for note in notes)
    assert any(note.startswith("1 derived or assumed values state no range") for note in notes)


def test_nothing_uncertain_is_told_too() -> None:
    found = uncertainty_json(Study((), np.empty((0, 0)), [], 0, (), 3, "edge"))
    assert found["notes"] == ["No derived or assumed value has a range: the draws would all be the same."]
    assert (found["bands"], found["tornado"]) == ({}, {})


def test_the_table_has_a_row_per_draw_and_null_for_what_a_draw_lacks() -> None:
    made = study(np.arange(5.0)[:, None], edge=[1.0, 2.0, 3.0, 4.0, 5.0])
    made.results[1].pop(FELT)  # type: ignore[attr-defined]  # a dict here
    table = uncertainty_table(made)
    assert table["draw"].to_pylist() == [0, 1, 2, 3, 4]
    assert table["value/network/value_0"].to_pylist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert table["result/edge/chat/felt/p95"].to_pylist() == [1.0, None, 3.0, 4.0, 5.0]
