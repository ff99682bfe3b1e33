import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.mser import truncation
from reports.warm_up import pooled_series


def test_the_optimum_worked_by_hand() -> None:
    # Batch means 9, then 1 0 1 0 ... nineteen times. Without the first batch the others have the mean 9/19 or
    # 10/19 and about 19/4 = 4.75 as sum of squares: 4.74/361 = 0.0131. With it the sum of squares is
    # 4.74 + (9 - 0.526)^2 x 19/20 = 72.9, and 72.9/400 = 0.18. Dropping more loses more n than it gains.
    means = [9.0, *([1.0, 0.0] * 10)[:19]]
    assert truncation(np.repeat(means, 5)) == 5


def test_a_start_that_is_hardly_off_is_cut_where_that_gains_more_than_the_observation_was_worth() -> None:
    # As above with 1.35 in place of 9: with it the sum of squares is 4.74 + (1.35 - 0.526)^2 x 19/20 = 5.38,
    # and 5.38/400 = 0.01345 is just above 4.74/361 = 0.01312.
    means = [1.35, *([1.0, 0.0] * 10)[:19]]
    assert truncation(np.repeat(means, 5)) == 5


def test_an_origin_far_away_takes_no_digits_from_the_cut() -> None:
    means = [9.0, *([1.0, 0.0] * 10)[:19]]
    assert truncation(np.repeat(means, 5) + 1e9) == 5


def test_half_of_a_series_may_be_cut_and_no_more() -> None:
    settled = [1.0, 0.0] * 5
    assert truncation(np.repeat([9.0] * 10 + settled, 5)) == 50
    assert truncation(np.repeat([9.0] * 11 + settled, 5)) is None


def test_a_ramp_is_cut_near_its_end() -> None:
    # The last part of a ramp is lost in the noise, so the cut lies a little before observation 400.
    cuts = []
    for seed in range(20):
        noise = np.random.default_rng(seed).normal(0, 1, 2000)
        cuts.append(truncation(np.concatenate([np.linspace(10, 0, 400), np.zeros(1600)]) + noise))
    known = [cut for cut in cuts if cut is not None]
    assert len(known) == 20
    assert 365 <= np.mean(known) <= 400, cuts
    assert min(known) >= 340


def test_a_series_without_start_up_is_hardly_cut() -> None:
    cuts = [truncation(np.random.default_rng(seed).normal(5, 1, 2000)) for seed in range(20)]
    assert np.median([cut for cut in cuts if cut is not None]) <= 200
    assert truncation(np.ones(100)) == 0


def test_a_run_that_never_settles_is_refused() -> None:
    assert truncation(np.arange(1000.0)) is None


@pytest.mark.parametrize("length", [0, 4, 49])
def test_a_handful_of_observations_is_refused(length: int) -> None:
    assert truncation(np.ones(length)) is None
    assert truncation(np.ones(50)) == 0


@settings(deadline=None)
@given(st.integers(0, 1000), st.floats(-1e3, 1e3), st.floats(0.01, 100))
def test_the_cut_does_not_depend_on_unit_or_origin(seed: int, shift: float, scale: float) -> None:
    random = np.random.default_rng(seed)
    values = random.normal(0, 1, 600) + 8 * np.exp(-np.arange(600) / 40)
    assert truncation(values * scale + shift) == truncation(values)


def test_pooling_averages_over_as_many_neighbours_as_there_are_replications() -> None:
    values = np.array([1.0, 2.0, 3.0, 10.0, 20.0])
    means, at_ps = pooled_series(values, np.array([0, 0, 0, 1, 1]), np.array([10, 30, 50, 20, 40]))
    # in time 1, 10, 2, 20, 3: pairs (1, 10) and (2, 20); the last has no partner
    assert means.tolist() == [5.5, 11.0]
    assert at_ps.tolist() == [10, 30]
