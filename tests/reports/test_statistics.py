import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from reports.differences import difference_of_means
from reports.statistics import (
    ONE_REPLICATION,
    Answer,
    Batches,
    Estimate,
    Refused,
    Samples,
    batches_of,
    mean,
    means_of,
    quantiles,
    ratio_of,
)
from reports.student_t import t_quantile
from tests.support.queues import waits

FINITE = st.floats(-1e6, 1e6)


def samples(*replications: object) -> Samples:
    parts = [np.asarray(part, np.float64) for part in replications]
    owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    return Samples.of(np.concatenate(parts), owner, range(len(parts)))


def estimate(answer: Answer) -> Estimate:
    assert isinstance(answer, Estimate), answer
    return answer


@pytest.mark.parametrize(
    ("level", "freedom", "published"),
    [
        (0.95, 1, 12.706),
        (0.95, 2, 4.303),
        (0.95, 9, 2.262),
        (0.95, 30, 2.042),
        (0.99, 5, 4.032),
        (0.9, 120, 1.658),
    ],
)
def test_t_agrees_with_the_printed_tables(level: float, freedom: int, published: float) -> None:
    """NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2."""
    assert t_quantile(level, freedom) == pytest.approx(published, abs=5e-4)


def test_t_agrees_with_scipy_for_every_freedom_it_may_meet() -> None:
    from scipy.special import stdtrit

    t_quantile.cache_clear()  # what was worked out before is no evidence
    for freedom in range(1, 200):
        assert t_quantile(0.95, freedom) == pytest.approx(float(stdtrit(freedom, 0.975)), rel=1e-10)


def test_an_interval_over_replications_worked_by_hand() -> None:
    # means 2, 4, 6: centre 4, standard deviation 2, half-width 4.303 * 2 / sqrt(3) = 4.968
    found = estimate(mean(samples([1, 3], [4, 4], [5, 7])))
    assert (found.value, found.n) == (4.0, 6)
    assert found.low == pytest.approx(-0.968, abs=1e-3)
    assert found.high == pytest.approx(8.968, abs=1e-3)


def test_a_mean_is_that_of_all_requests_however_many_a_replication_has() -> None:
    # 26 over 6 requests, not (2 + 4 + 6) / 3. Sums less 13/3 for each request, over the 2 of a replication:
    # -7/3, -1/6, 5/2, a standard deviation of 2.4209 and a half-width of 4.3027 * 2.4209 / sqrt(3) = 6.0140
    found = estimate(mean(samples([1, 3], [4], [5, 6, 7])))
    assert found.value == pytest.approx(13 / 3)
    assert found.low == pytest.approx(13 / 3 - 6.0140, abs=1e-3)
    answer, _ = difference_of_means(samples([1, 3], [4], [5, 6, 7]), samples([2, 4], [5], [6, 7, 8]))
    assert estimate(answer).value == pytest.approx(1)
    assert estimate(answer).high == pytest.approx(1)


def test_no_interval_of_a_duration_reaches_below_zero() -> None:
    found = [np.array([0.0, 0.1]), np.array([9.0, 9.1])]
    owner = np.repeat([0, 1], 2)
    durations = Samples.of(np.concatenate(found), owner, range(2), least=0.0)
    assert estimate(mean(durations)).low == 0.0
    assert (estimate(mean(samples(*found))).low or 0.0) < -40


def test_an_empty_replication_neither_counts_nor_breaks_the_mean() -> None:
    assert estimate(mean(samples([1, 1], [], [3, 3]))).value == 2.0
    assert isinstance(mean(samples([], [])), Refused)


def test_quantiles_interpolate_between_neighbours() -> None:
    assert quantiles(np.array([40.0, 10.0, 30.0, 20.0]), [0, 0.5, 0.9, 1]).tolist() == [10, 25, 37, 40]


@settings(deadline=None)
@given(st.lists(FINITE, min_size=1, max_size=60), st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_quantiles_agree_with_numpy(values: list[float], probabilities: list[float]) -> None:
    found = quantiles(np.array(values), probabilities)
    assert found == pytest.approx(np.quantile(values, probabilities), rel=1e-9, abs=1e-6)


def test_one_short_replication_gives_a_value_and_says_why_it_has_no_interval() -> None:
    found = estimate(mean(samples([1.0, 2.0] * 25)))
    assert (found.value, found.low, found.high) == (1.5, None, None)
    assert found.note == (
        "One replication: the interval of a mean needs about 400 requests; the 50 there are worth 50 "
        "independent ones."
    )


def test_correlated_batches_give_no_interval() -> None:
    wave = np.sin(np.linspace(0, 2 * np.pi, 600))
    found = estimate(mean(samples(wave)))
    assert found.low is None
    assert found.note is not None
    assert "of a mean needs about" in found.note


def test_differences_are_paired_by_replication_and_say_what_that_gained() -> None:
    base = samples([1.0], [5.0], [9.0])
    answer, gain = difference_of_means(base, samples([2.1], [6.0], [9.9]))
    # differences 1.1, 1.0, 0.9: half-width 4.303 * 0.1 / sqrt(3) = 0.248; variances 16 + 15.21 over 0.01
    found = estimate(answer)
    assert found.value == pytest.approx(1.0)
    assert found.low == pytest.approx(0.752, abs=1e-3)
    assert gain == pytest.approx(3121, rel=1e-3)


def test_a_difference_without_a_second_replication_has_no_interval() -> None:
    answer, gain = difference_of_means(samples([1.0, 2.0]), samples([3.0]))
    assert estimate(answer).value == 1.5
    assert estimate(answer).low is None
    assert gain is None


def test_replications_that_only_one_side_has_are_left_out() -> None:
    other = Samples.of(np.array([3.0, 7.0]), np.array([1, 2]), [1, 2])
    answer, _ = difference_of_means(samples([100.0], [1.0], [5.0]), other)
    assert estimate(answer).value == 2.0


@pytest.mark.theory
def test_intervals_over_replications_cover_the_mean_wait_of_a_queue() -> None:
    rng = np.random.default_rng(7)
    answers = [estimate(mean(samples(*(waits(rng, 1000, 0.5) for _ in range(10))))) for _ in range(200)]
    assert 0.90 <= covered(answers, 0.5) <= 0.99  # rho / (mu (1 - rho)) with service 0.5
    assert width(answers) < 0.2


@pytest.mark.theory
def test_intervals_from_batches_of_one_run_cover_its_mean_wait() -> None:
    rng = np.random.default_rng(8)
    answers = [estimate(mean(samples(waits(rng, 10_000, 0.5)))) for _ in range(200)]
    assert sum(answer.low is None for answer in answers) < 20
    assert 0.90 <= covered(answers, 0.5) <= 0.99
    assert width(answers) < 0.2


def covered(answers: list[Estimate], truth: float) -> float:
    known = [(one.low, one.high) for one in answers if one.low is not None and one.high is not None]
    return sum(low <= truth <= high for low, high in known) / len(known)


def width(answers: list[Estimate]) -> float:
    """The mean half-width as a share of the value."""
    known = [one for one in answers if one.high is not None]
    return float(np.mean([((one.high or 0.0) - one.value) / one.value for one in known]))


def test_an_interval_from_batches_tells_how_many_and_how_correlated_they_are() -> None:
    found = estimate(mean(samples(np.random.default_rng(3).normal(0, 1, 3000))))
    assert found.batches is not None
    assert found.batches.count == 20
    assert abs(found.batches.lag_one) <= 0.447  # 2 / sqrt(20)
    assert found.as_json()["batches"] == {"count": 20, "lag_one": found.batches.lag_one}
    assert "batches" not in estimate(mean(samples([1.0, 2.0], [3.0, 4.0]))).as_json()


def test_the_correlation_of_batches_worked_by_hand() -> None:
    # Twenty batches of ten equal values, 1 and -1 by turns: each is followed by its opposite, 19 of 20 times.
    assert same(used(np.repeat([1.0, -1.0] * 10, 10)), 20, -0.95)


def same(found: Batches | str | None, count: int, lag_one: float) -> bool:
    return (
        isinstance(found, Batches)
        and found == Batches(count, found.lag_one)
        and bool(found.lag_one == pytest.approx(lag_one))
    )


def used(values: NDArray[np.float64]) -> Batches | str:
    found = batches_of(values)
    return found if isinstance(found, str) else found[1]


def turning(changes: int, batches: int) -> list[float]:
    """`batches` values of 1 and -1, half of each, that change sign so often.

    Neighbours agree but at the changes, so their correlation is (batches - 1 - 2 changes) / batches.
    """
    runs = changes + 1
    lengths = [1] * runs
    for sign in (0, 1):  # what is left of each sign goes to its first run
        lengths[sign] += batches // 2 - len(range(sign, runs, 2))
    return [1.0 - 2 * (run % 2) for run, length in enumerate(lengths) for _ in range(length)]


@pytest.mark.parametrize(("changes", "lag_one"), [(6, 0.35), (5, None)])
def test_twenty_batch_means_are_used_up_to_a_correlation_of_2_over_root_20(
    changes: int, lag_one: float | None
) -> None:
    # 2 / sqrt(20) = 0.447: 6 changes give 7/20, 5 give 9/20 = 0.45. 200 requests are too few for 30 batches.
    found = used(np.repeat(turning(changes, 20), 10))
    if lag_one is None:
        assert "still correlated (0.45)" in str(found)
    else:
        assert same(found, 20, lag_one)


@pytest.mark.parametrize(("changes", "used_them"), [(10, True), (9, False)])
def test_thirty_batch_means_are_used_up_to_a_correlation_of_2_over_root_30(
    changes: int, used_them: bool
) -> None:
    # 2 / sqrt(30) = 0.365: 10 changes give 9/30, 9 give 11/30 = 0.367. In 20 batches more is correlated.
    found = batches_of(np.repeat(turning(changes, 30), 10))
    assert isinstance(found, tuple) == used_them
    assert isinstance(found, str) or found[1].count == 30


def test_an_interval_from_twenty_blocks_worked_by_hand() -> None:
    # Means of 1 and 3 by turns of 50 requests: centre 2, standard deviation sqrt(20 / 19) = 1.026, and no
    # skewness: the half-width is 2.093 x 1.026 / sqrt(20) = 0.480. What is around them is larger, at random.
    around = np.random.default_rng(2).permuted(np.tile([-20.0, -10, 0, 10, 20], (20, 10)), axis=1)
    found = estimate(mean(samples((around + np.array([[1.0], [3.0]] * 10)).ravel())))
    assert found.value == pytest.approx(2.0)
    assert found.low == pytest.approx(2 - 0.480, abs=1e-3)
    assert found.high == pytest.approx(2 + 0.480, abs=1e-3)
    assert same(found.batches, 20, -0.95)


def test_batches_that_are_not_used_say_why() -> None:
    short = "One replication of 199 requests: an interval needs 200."
    assert batches_of(np.repeat(7.0, 199)) == short
    told = "Successive batches are still correlated (0.45): use replications or a longer run."
    assert batches_of(np.repeat(turning(5, 20), 10)) == told


def test_nothing_to_average_is_said_so() -> None:
    told = "There is nothing to average: no request got that far."
    assert mean(samples([], [])) == Refused(told)
    assert Refused(told).as_json() == {"refused": told}


def test_an_estimate_as_json_has_a_note_only_where_there_is_one() -> None:
    assert Estimate(2.0, 1.0, 3.0, 7).as_json() == {"value": 2.0, "low": 1.0, "high": 3.0, "n": 7}
    assert Estimate(2.0, None, None, 7, "why").as_json() == {
        "value": 2.0,
        "low": None,
        "high": None,
        "n": 7,
        "note": "why",
    }


def test_samples_without_some_replications_keep_the_others_and_their_bound() -> None:
    whole = Samples.of(np.arange(6.0), np.array([3, 3, 4, 5, 5, 5]), [3, 4, 5], least=-7.0)
    kept = whole.only([5, 3])
    assert kept.values.tolist() == [3, 4, 5, 0, 1]
    assert kept.counts.tolist() == [3, 2]
    assert (kept.replications, kept.least) == ((5, 3), -7.0)


def test_a_busy_replication_weighs_as_much_as_it_holds() -> None:
    # 1 request of 10 and 3 of 2 each: the mean of all four is 4, and each part stands at
    # 4 + (its sum - 4 x its count) / 2, the mean count: 4 + 6 / 2 = 7 and 4 - 6 / 2 = 1.
    assert means_of([np.array([10.0]), np.array([2.0, 2.0, 2.0])]).tolist() == [7.0, 1.0]


def test_a_ratio_of_totals_worked_by_hand() -> None:
    # 30 over 10; linearised 3 + (10 - 6) / 5 = 3.8, 3 + (20 - 24) / 5 = 2.2; standard deviation 1.131, and
    # 12.706 x 1.131 / sqrt(2) = 10.165: beyond 0 below, where no ratio of amounts can be.
    found = ratio_of(np.array([10.0, 20.0]), np.array([2.0, 8.0]))
    assert found.value == pytest.approx(3)
    assert (found.low, found.n) == (0.0, 2)
    assert found.high == pytest.approx(13.165, abs=1e-3)


def test_a_ratio_from_one_replication_has_no_interval() -> None:
    assert ratio_of(np.array([6.0]), np.array([4.0])) == Estimate(1.5, None, None, 1, ONE_REPLICATION)


def test_batches_that_are_all_the_same_are_not_correlated() -> None:
    found = estimate(mean(samples(np.full(400, 4.0))))
    assert (found.low, found.value, found.high) == (4, 4, 4)
    assert found.batches is not None
    assert found.batches.lag_one == 0


def test_a_correlation_has_no_unit() -> None:
    assert same(used(np.repeat(turning(6, 20), 10) / 1000), 20, 0.35)


def test_samples_leave_out_what_is_no_number_and_replications_that_nobody_asked_for() -> None:
    values, replication = np.array([1.0, np.nan, 3.0, 4.0]), np.array([0, 0, 1, 2])
    kept = Samples.of(values, replication, [0, 1, 2])
    assert (kept.values.tolist(), kept.counts.tolist()) == ([1, 3, 4], [1, 1, 1])
    assert Samples.of(values[2:], replication[2:], [1]).counts.tolist() == [1]
    assert Samples.of(values[2:], replication[2:], [1, 2]).values.tolist() == [3, 4]


def test_an_interval_is_kept_within_what_a_quantity_can_be() -> None:
    wide = Estimate(0.5, -0.2, 1.3, 9)
    assert wide.within(0.0, 1.0) == Estimate(0.5, 0.0, 1.0, 9)
    assert wide.within(0.0) == Estimate(0.5, 0.0, 1.3, 9)
