"""How long people think and tools run, and how many turns there are: what is stated is what is drawn."""

import numpy as np
import pytest

from traffic.counts import FixedCount, GeometricCount
from traffic.durations import MOST_S, ExponentialDuration, FixedDuration, LognormalDuration
from traffic.ramps import JoiningStep, RampArrivals, StepArrivals

PS_PER_S = 10**12
N = 40_000


def test_durations_have_the_stated_middle() -> None:
    rng = np.random.default_rng
    assert FixedDuration(s=2.5).sample_s(rng(1), 3).tolist() == [2.5] * 3
    # 4 standard errors: s / sqrt(n) of the mean, and of ln(median) sigma sqrt(pi / 2n)
    assert ExponentialDuration(mean=8).sample_s(rng(1), N).mean() == pytest.approx(8, rel=0.02)
    lognormal = LognormalDuration(median=8, sigma=0.5)
    assert np.median(lognormal.sample_s(rng(1), N)) == pytest.approx(8, rel=0.0126)
    assert lognormal.sample_s(rng(1), N).mean() == pytest.approx(lognormal.mean_s, rel=0.012)


def test_durations_stay_within_their_bounds() -> None:
    clipped = LognormalDuration(median=5, sigma=2, low=1, high=9).sample_s(np.random.default_rng(1), N)
    assert (clipped.min(), clipped.max()) == (1, 9)
    assert ExponentialDuration(mean=MOST_S).sample_s(np.random.default_rng(1), N).max() == MOST_S


def test_draws_are_whole_picoseconds_and_the_same_however_many_are_made_at_once() -> None:
    think = ExponentialDuration(mean=1)
    one, many = (think.draws_ps(np.random.default_rng(5), at_once) for at_once in (1, 256))
    first = [next(one) for _ in range(300)]
    assert first == [next(many) for _ in range(300)]
    assert all(isinstance(ps, int) for ps in first)


def test_turns_have_the_stated_mean_and_one_variate_each() -> None:
    assert FixedCount(count=4).sample(np.random.default_rng(1), 2).tolist() == [4, 4]
    five = GeometricCount(mean=5).sample(np.random.default_rng(1), N)
    assert five.min() == 1
    assert five.mean() == pytest.approx(5, rel=4 * (20 / N) ** 0.5 / 5)
    # P(count > k) = 0.8**k
    assert (five > 3).mean() == pytest.approx(0.512, abs=4 * (0.25 / N) ** 0.5)
    ten = GeometricCount(mean=10).sample(np.random.default_rng(1), N)
    assert (ten >= five).all()
    assert GeometricCount(mean=1).sample(np.random.default_rng(1), 9).tolist() == [1] * 9


def test_a_count_that_is_cut_has_the_mean_that_it_says() -> None:
    cut = GeometricCount(mean=5, most=6)
    drawn = cut.sample(np.random.default_rng(1), N)
    assert drawn.max() == 6
    assert drawn.mean() == pytest.approx(cut.mean_count, rel=0.02)
    assert cut.mean_count == pytest.approx(5 * (1 - 0.8**6))


def test_a_ramp_has_equal_gaps_and_ends_at_the_horizon() -> None:
    ramp = RampArrivals(users=3, over_s=1)  # 0, 1/3 and 2/3 of a second, to the picosecond
    times = [at for block in ramp.blocks(np.random.default_rng(), PS_PER_S) for at in block]
    assert times == [0, 333_333_333_333, 666_666_666_667]
    assert (ramp.callers, ramp.expected(0.5), ramp.last_ps) == (3, 1.5, 666_666_666_667)
    short = [at for block in ramp.blocks(np.random.default_rng(), PS_PER_S // 2) for at in block]
    assert short == times[:2]


def test_steps_bring_their_users_at_their_times() -> None:
    steps = StepArrivals(steps=(JoiningStep(at_s=0.5, users=2), JoiningStep(at_s=2, users=1)))
    assert list(steps.blocks(np.random.default_rng(), 3 * PS_PER_S, 2)) == [
        [PS_PER_S // 2, PS_PER_S // 2],
        [2 * PS_PER_S],
    ]
    assert (steps.callers, steps.expected(1), steps.last_ps) == (3, 2, 2 * PS_PER_S)
