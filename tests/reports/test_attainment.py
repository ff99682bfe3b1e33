from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from reports.attainment import (
    Attainment,
    SharePart,
    difference_of_attainments,
    effective_size,
    score_interval,
)
from reports.objectives import Judged
from reports.statistics import Answer, Estimate, Refused
from tests.support.queues import waits

Floats = NDArray[np.float64]


def attainment(replications: Sequence[Floats], limit: float = 1.0) -> Attainment:
    """Of the severities of each replication."""
    severity = np.concatenate([np.asarray(part, np.float64) for part in replications]) / limit
    owner = np.repeat(np.arange(len(replications)), [len(part) for part in replications])
    asks = Judged(np.ones(len(severity), np.bool_), severity <= 1, severity)
    return Attainment.of(asks, owner, range(len(replications)))


def estimate(answer: Answer) -> Estimate:
    assert isinstance(answer, Estimate), answer
    return answer


def of_share(good: Sequence[int], asks: int) -> Attainment:
    """So many good ones in each replication of so many asks."""
    return attainment([np.where(np.arange(asks) < number, 0.5, 2.0) for number in good])


def test_attainment_is_the_ratio_of_the_totals() -> None:
    # 9 of 10 and 10 of 30: 19 of 40, and not the mean of 0.9 and 0.333
    parts = [np.where(np.arange(n) < good, 0.5, 2.0) for n, good in ((10, 9), (30, 10))]
    assert estimate(attainment(parts).answer()).value == 19 / 40


def test_the_interval_of_a_share_worked_by_hand() -> None:
    # n = 100 and t = 2 around 0.8: (0.8 + 0.02 -+ sqrt(0.04 * 0.16 + 0.0004)) / 1.04
    assert score_interval(0.8, 100, 2.0) == pytest.approx((0.709171, 0.867752), abs=1e-6)
    assert score_interval(1.0, 96, 2.0) == pytest.approx((0.96, 1.0))
    assert score_interval(0.0, 96, 2.0) == pytest.approx((0.0, 0.04))


def test_replications_that_differ_as_independent_asks_would_are_worth_all_of_them() -> None:
    rng = np.random.default_rng(1)
    alone = [SharePart(part <= 1, part) for part in rng.exponential(0.5, (50, 200))]
    assert 5_000 < effective_size(alone) <= 10_000
    together = [SharePart(part <= 1, part) for part in np.repeat(rng.exponential(0.5, (50, 1)), 200, axis=1)]
    assert effective_size(together) == 50


def test_where_every_ask_is_good_those_that_came_near_tell_how_they_hang_together() -> None:
    """A tenth of the severities are high, alone or a whole replication at once; none is beyond its limit."""
    rng = np.random.default_rng(2)
    alone = [np.where(rng.random(300) < 0.1, 0.9, 0.1) + rng.random(300) / 100 for _ in range(20)]
    blocks = [np.full(300, 0.9 if k % 10 == 0 else 0.1) + rng.random(300) / 100 for k in range(20)]
    lows = [estimate(attainment(parts).answer()).low or 0.0 for parts in (alone, blocks)]
    assert lows[0] > 0.995
    assert lows[1] < 0.9


def test_where_nothing_varies_only_the_replications_count() -> None:
    # t = 2.262 for 10 replications: 10 / (10 + 5.117)
    found = estimate(attainment([np.full(500, 0.3)] * 10).answer())
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.6615, abs=1e-4)
    assert estimate(attainment([np.full(500, np.inf)] * 10).answer()).high == pytest.approx(0.3385, abs=1e-4)


def test_a_short_or_a_correlated_replication_has_no_interval_even_at_all_or_nothing() -> None:
    short = estimate(attainment([np.random.default_rng(3).random(50)]).answer())
    assert (short.value, short.low) == (1.0, None)
    assert short.note == "One replication of 50 requests: an interval needs 200."
    wave = estimate(attainment([np.sin(np.linspace(0, 2 * np.pi, 600)) / 2]).answer())
    assert wave.low is None
    assert "correlated" in (wave.note or "")


@settings(deadline=None)
@given(st.lists(st.lists(st.floats(0, 2), min_size=1, max_size=30), min_size=2, max_size=6))
def test_a_share_lies_in_its_interval_and_both_between_zero_and_one(parts: list[list[float]]) -> None:
    found = estimate(attainment([np.array(part) for part in parts]).answer())
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_what_is_not_judged_has_no_difference_either() -> None:
    alone = attainment([np.zeros(9)] * 2)
    nobody = Attainment(alone.met, alone.severity, "Not judged: so.")
    assert nobody.answer() == Refused("Not judged: so.")
    assert difference_of_attainments(alone, nobody, paired=True) == (Refused("Not judged: so."), None)


@pytest.mark.parametrize("paired", [True, False])
def test_a_difference_keeps_the_bound_of_a_side_that_is_all_or_nothing(paired: bool) -> None:
    rng = np.random.default_rng(4)
    everyone, most = (attainment(list(rng.random((10, 300)) * most)) for most in (0.9, 1.1))
    same = estimate(difference_of_attainments(everyone, everyone, paired=paired)[0])
    assert same.value == 0
    low = estimate(everyone.answer()).low or 0.0
    assert same.high == pytest.approx(1 - low)
    assert same.low == pytest.approx(low - 1)
    worse = estimate(difference_of_attainments(everyone, most, paired=paired)[0])
    assert worse.value == pytest.approx(-0.091, abs=0.02)
    assert (worse.low or 0) < worse.value < (worse.high or 0) < 0


def test_pairing_narrows_a_difference_where_both_move_together() -> None:
    rng = np.random.default_rng(5)
    good = rng.integers(200, 800, 20)
    base, other = of_share(good.tolist(), 1000), of_share((good + 20).tolist(), 1000)
    paired, gain = difference_of_attainments(base, other, paired=True)
    apart, _ = difference_of_attainments(base, other, paired=False)
    narrow, wide = (estimate(one) for one in (paired, apart))
    assert [narrow.value, wide.value] == pytest.approx([0.02, 0.02])
    assert (narrow.high or 0) - (narrow.low or 0) < 0.3 * ((wide.high or 0) - (wide.low or 0))
    assert gain is None or gain > 100


def bursts(rng: np.random.Generator, count: int) -> Floats:
    """Independent but for a burst of 100 in a row, once in 4,000 on average, three times as severe."""
    values = rng.exponential(1.0, count)
    for start in rng.integers(0, count, rng.poisson(count / 4000)):
        values[start : start + 100] *= 3
    return values


CASES = [
    # M/M/1 with mean service rho: P(W > t) = rho exp(-(1 / rho - 1) t)
    (lambda rng, n: waits(rng, n, 0.8), np.log(0.8 / 0.001) / 0.25, 0.999, 10, 500),
    (lambda rng, n: waits(rng, n, 0.8), np.log(0.8 / 0.003) / 0.25, 0.997, 10, 2000),
    (lambda rng, n: waits(rng, n, 0.5), np.log(0.5 / 0.001), 0.999, 3, 2000),
    (lambda rng, n: waits(rng, n, 0.8), np.log(0.8 / 0.001) / 0.25, 0.999, 1, 5000),
    (bursts, 15.0, 0.99983, 10, 1000),  # 100 exp(-5) in 4,000
]


@pytest.mark.theory
@pytest.mark.parametrize(("make", "limit", "truth", "replications", "asks"), CASES)
def test_the_interval_holds_where_failures_come_together_and_all_asks_are_good(
    make: Callable[[np.random.Generator, int], Floats],
    limit: float,
    truth: float,
    replications: int,
    asks: int,
) -> None:
    rng = np.random.default_rng(6)
    found = [
        estimate(attainment([make(rng, asks) for _ in range(replications)], limit).answer())
        for _ in range(150)
    ]
    told = [one for one in found if one.low is not None]
    perfect = [one for one in told if one.value == 1]
    assert len(told) > 100
    assert sum(holds(one, truth) for one in told) / len(told) >= 0.93
    assert sum(holds(one, truth) for one in perfect) >= 0.93 * len(perfect)
    assert np.mean([one.high - one.low for one in told if one.high and one.low]) < 0.12


def holds(one: Estimate, truth: float) -> bool:
    return one.low is not None and one.high is not None and one.low <= truth <= one.high
