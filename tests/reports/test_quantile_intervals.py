import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.differences import difference_apart, difference_of_quantiles
from reports.quantile_intervals import quantile_answers, reach_of
from reports.sample_size import requests_needed
from reports.statistics import Answer, Estimate, Refused, Samples, rounded_up
from reports.student_t import t_of_freedom, t_quantile
from tests.support.queues import waits

FINITE = st.floats(-1e6, 1e6)


def samples(*replications: object) -> Samples:
    parts = [np.asarray(part, np.float64) for part in replications]
    owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    return Samples.of(np.concatenate(parts), owner, range(len(parts)))


def estimate(answer: Answer) -> Estimate:
    assert isinstance(answer, Estimate), answer
    return answer


def quantile(of: Samples, probability: float) -> Estimate:
    return estimate(quantile_answers(of, [probability])[0])


def test_t_of_a_broken_freedom_lies_between_its_neighbours() -> None:
    # scipy.special.stdtrit(5.5, 0.975) = 2.5019, at 2.5 3.5747
    assert t_of_freedom(0.95, 5.5) == pytest.approx(2.5019, abs=5e-3)
    assert t_of_freedom(0.95, 2.5) == pytest.approx(3.5747, abs=0.06)
    assert t_of_freedom(0.95, 9.0) == t_quantile(0.95, 9)
    assert t_of_freedom(0.95, math.inf) == pytest.approx(1.962, abs=1e-3)


def test_the_reach_worked_by_hand() -> None:
    # Four blocks with 0.02 more or less than half beyond: a variance of 4 x 0.0004 / 3 / 4 = 0.0001333, a
    # deviation of 0.011547, worth 0.25 / 0.0001333 x 0.5 = 937.5. Freedom 2 / (2/3 + 3/937.5) = 2.986, t is
    # 3.191 and the bend 0.5 / sqrt(937.5) / 6 = 0.002722: t less 0.002722 x (1 + 2 x 10.18) = 0.0555 on the
    # thin side, and as much more on the other.
    reach = reach_of(np.array([0.02, -0.02, 0.02, -0.02]), 0.5)
    assert reach.freedom == pytest.approx(2.986, abs=1e-3)
    assert reach.below == pytest.approx(0.011547 * (3.191 - 0.0555), abs=5e-5)
    assert reach.above == pytest.approx(0.011547 * (3.191 + 0.0605), abs=5e-5)
    mirrored = reach_of(np.array([0.02, -0.02, 0.02, -0.02]), 0.499999)
    assert mirrored.below == pytest.approx(reach.above, rel=1e-3)


def test_an_interval_is_read_from_the_order_statistics_of_all() -> None:
    # 0 to 399 dealt to 20 replications: the same share is beyond 199.5 in each, so the interval is empty.
    dealt = np.random.default_rng(1).permuted(np.arange(400.0).reshape(20, 20).T, axis=1)
    found = quantile(samples(*dealt), 0.5)
    assert (found.value, found.n, found.batches) == (199.5, 400, None)
    assert (found.low, found.high) == (199.5, 199.5)
    # Two values change sides: shares of 0.55, 0.45 and 18 of 0.5.
    low, high = np.argmin(dealt[0]), np.argmax(dealt[1])
    dealt[0, low], dealt[1, high] = dealt[1, high], dealt[0, low]
    moved = quantile(samples(*dealt), 0.5)
    reach = reach_of(np.array([0.05, -0.05, *[0] * 18]), 0.5)
    assert moved.low == pytest.approx(199.5 - 399 * reach.below)
    assert moved.high == pytest.approx(199.5 + 399 * reach.above)


def test_a_quantile_is_that_of_all_requests_and_not_the_mean_of_the_replications() -> None:
    quiet, busy = np.zeros(300), np.full(100, 9.0)
    assert quantile(samples(quiet, busy, np.zeros(100), np.zeros(100)), 0.9).value == 9.0


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.floats(-1000, 1000), st.floats(0.1, 10))
def test_quantiles_and_their_intervals_move_with_their_data(seed: int, shift: float, scale: float) -> None:
    values = np.random.default_rng(seed).exponential(1, (4, 200))
    first = quantile(samples(*values), 0.5)
    second = quantile(samples(*values * scale + shift), 0.5)
    assert first.low is not None
    assert first.high is not None
    assert first.low <= first.value <= first.high
    assert second.value == pytest.approx(first.value * scale + shift, rel=1e-6, abs=1e-6)
    assert second.high == pytest.approx(first.high * scale + shift, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("probability", "needed"), [(0.5, 20), (0.9, 100), (0.95, 200), (0.99, 1000), (0.999, 10_000)]
)
def test_a_quantile_from_too_few_requests_is_refused(probability: float, needed: int) -> None:
    assert requests_needed(probability) == needed
    few, enough = np.arange(needed - 1.0), np.arange(float(needed))
    assert isinstance(quantile_answers(samples(few), [probability])[0], Refused)
    assert isinstance(quantile_answers(samples(enough), [probability])[0], Estimate)
    assert quantile_answers(samples([], []), [probability]) == quantile_answers(samples([]), [probability])


def test_the_refusal_is_a_sentence_with_both_numbers() -> None:
    (answer,) = quantile_answers(samples(np.arange(2000.0)), [0.999])
    assert answer == Refused("A p99.9 needs at least 10,000 requests; there are 2,000.")


def test_correlated_requests_count_as_the_independent_ones_that_they_are_worth() -> None:
    # 50 heaps of 100 equal values: 5,000 requests, worth 50. A median wants 100 of them, a p95 400.
    rng = np.random.default_rng(4)
    heaped = quantile_answers(samples(*np.repeat(rng.random((10, 5)), 100, axis=1)), [0.5, 0.95])
    for answer, wanted in zip(heaped, (100, 400), strict=True):
        found = estimate(answer)
        assert found.low is None
        assert found.note is not None
        assert f"independent ones; {wanted} are wanted." in found.note
    alone = estimate(quantile_answers(samples(*rng.random((10, 500))), [0.95])[0])
    assert alone.low is not None
    assert alone.note is None


def test_a_tail_that_a_few_replications_make_is_refused_with_how_many_requests_it_takes() -> None:
    rng = np.random.default_rng(5)
    replications = [rng.random(400) for _ in range(10)]
    replications[3][rng.choice(400, 180, replace=False)] += 5
    found = quantile(samples(*replications), 0.95)
    assert found.low is None
    assert found.note is not None
    assert found.note.startswith("The interval of a p95 needs about ")
    assert "vary too much between replications" in found.note


def test_two_digits_are_enough_for_how_many_are_needed() -> None:
    assert [rounded_up(n) for n in (7.0, 1601.0, 64_000.0, 64_001.0)] == [7, 1700, 64_000, 65_000]


def test_a_number_of_two_digits_stays_what_it_is_however_its_last_bits_fell() -> None:
    assert [rounded_up(n) for n in (100.00000000000001, 99.99999999999999, 31 * (100 / 31))] == [100] * 3
    assert rounded_up(100.1) == 110


def test_one_replication_is_cut_into_batches_and_tells_how_correlated_they_are() -> None:
    found = quantile(samples(np.random.default_rng(6).random(3_000)), 0.5)
    assert found.batches is not None
    assert found.batches.count == 20
    assert abs(found.batches.lag_one) < 0.5


def test_a_difference_of_quantiles_is_paired_by_replication() -> None:
    rng = np.random.default_rng(7)
    base = rng.exponential(1, (10, 500)) * rng.lognormal(0, 0.3, (10, 1))
    answer, gain = difference_of_quantiles(samples(*base), samples(*base * 1.1), 0.5)
    found, apart = estimate(answer), estimate(difference_apart(samples(*base), samples(*base * 1.1), 0.5))
    assert found.value == pytest.approx(0.1 * quantile(samples(*base), 0.5).value)
    assert 0 < (found.low or 0) < found.value < (found.high or 0)
    assert (apart.low or 0) < 0 < (apart.high or 0)
    assert gain is not None
    assert gain > 50


def test_changes_too_small_to_move_a_request_past_the_quantile_are_not_found_real() -> None:
    """Each moves by chance, less far than requests lie apart: blocks alone miss 0 in 2 of 3 studies."""
    rng, missed = np.random.default_rng(8), 0
    for _ in range(60):
        base = rng.exponential(1, (4, 280))
        moved = base + rng.uniform(-0.001, 0.001, base.shape)
        found = estimate(difference_of_quantiles(samples(*base), samples(*moved), 0.95)[0])
        missed += not (found.low or 0) <= 0 <= (found.high or 0)
    assert missed <= 6


def test_a_difference_of_quantiles_is_refused_where_either_side_is_too_small() -> None:
    small, large = samples(np.arange(150.0), []), samples(np.arange(900.0), np.arange(900.0))
    answer, _ = difference_of_quantiles(large, small, 0.95)
    assert answer == Refused("A p95 needs at least 200 requests; there are 150.")
    few = samples(np.arange(300.0), np.arange(300.0))
    answer, _ = difference_of_quantiles(few, few, 0.95)
    assert estimate(answer).low is None
    assert "interval of a p95" in str(estimate(answer).note)


@pytest.mark.theory
@pytest.mark.parametrize(("replications", "count"), [(1, 12_000), (4, 3_000), (10, 1_200)])
def test_intervals_of_a_p95_hold_it(replications: int, count: int) -> None:
    """100 of 95 %: but for a case in a thousand 87 or more of them hold the truth."""
    rng = np.random.default_rng(9)
    drawn = (samples(*(waits(rng, count, 0.5) for _ in range(replications))) for _ in range(100))
    answers = [quantile(one, 0.95) for one in drawn]
    known = [(one.low, one.high) for one in answers if one.low is not None and one.high is not None]
    assert len(known) == 100
    # P(W > t) = rho exp(-(mu - lambda) t) with mu 2, lambda 1: t = ln(0.5 / 0.05)
    assert sum(low <= math.log(10) <= high for low, high in known) >= 87
    assert np.mean([high - low for low, high in known]) < 0.4 * math.log(10)
