"""Token lengths: the stated quantiles and bounds, one variate per draw."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from traffic.lengths import Length, LengthDistribution

KINDS: TypeAdapter[LengthDistribution] = TypeAdapter(Length)


def make(**fields: Any) -> LengthDistribution:
    return KINDS.validate_python(fields)


def draw(length: LengthDistribution, n: int, seed: int = 1) -> Any:
    return length.sample(np.random.default_rng(seed), n)


def test_fixed_lengths_are_the_stated_number() -> None:
    assert draw(make(kind="fixed", tokens=512), 3).tolist() == [512, 512, 512]


@pytest.mark.theory
def test_lognormal_lengths_have_the_stated_quantiles() -> None:
    """Median 1,000 and sigma 0.5: p10 526.9, p90 1,897.9 (1,000 * e**(-+1.28155 * 0.5)).

    The share of 40,000 draws below a quantile p is p with standard deviation sqrt(p(1-p)/n): 0.0025 at the
    median and 0.0015 at p10 and p90. Four of them to each side.
    """
    tokens = draw(make(kind="lognormal", median=1000, sigma=0.5), 40_000, seed=42)
    assert abs((tokens <= 1000).mean() - 0.5) <= 0.010
    assert abs((tokens <= 526).mean() - 0.1) <= 0.006
    assert abs((tokens <= 1897).mean() - 0.9) <= 0.006


@pytest.mark.theory
def test_clipping_puts_the_tails_on_the_bounds_and_moves_no_other_draw() -> None:
    """Above 2,000 lie 8.28 % (z = 1.3863), below 500 as many; 40,000 draws, four standard deviations."""
    free = draw(make(kind="lognormal", median=1000, sigma=0.5), 40_000)
    clipped = draw(make(kind="lognormal", median=1000, sigma=0.5, low=500, high=2000), 40_000)
    assert (clipped.min(), clipped.max()) == (500, 2000)
    assert abs((clipped == 2000).mean() - 0.0828) <= 0.0056
    inside = (free > 500) & (free < 2000)
    assert (clipped[inside] == free[inside]).all()


@pytest.mark.theory
def test_geometric_lengths_are_memoryless_with_the_stated_mean() -> None:
    """Mean 20 has standard deviation sqrt(380) = 19.5; 40,000 draws give the mean to 0.39 (four of them).

    P(more than 20) = 0.95**20 = 0.3585, and so is P(more than 40 | more than 20).
    """
    tokens = draw(make(kind="geometric", mean=20), 40_000, seed=5)
    assert abs(tokens.mean() - 20) <= 0.39
    assert abs((tokens > 20).mean() - 0.3585) <= 0.0096
    assert abs((tokens[tokens > 20] > 40).mean() - 0.3585) <= 0.0161
    assert draw(make(kind="geometric", mean=1), 3).tolist() == [1, 1, 1]


ANY_LENGTH = st.one_of(
    st.builds(make, kind=st.just("fixed"), tokens=st.integers(1, 10**6)),
    st.builds(
        make, kind=st.just("lognormal"), median=st.floats(1, 1e6), sigma=st.floats(0, 10), low=st.just(1)
    ),
    st.builds(make, kind=st.just("geometric"), mean=st.floats(1, 1e6)),
)


@given(ANY_LENGTH, st.integers(0, 2**32), st.integers(0, 50))
def test_every_length_is_a_positive_integer_and_draws_may_be_split(
    length: LengthDistribution, seed: int, first: int
) -> None:
    whole = draw(length, 50, seed)
    assert whole.dtype == np.int64
    assert whole.min() >= 1
    rng = np.random.default_rng(seed)
    parts = [*length.sample(rng, first), *length.sample(rng, 50 - first)]
    assert parts == whole.tolist()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"kind": "fixed", "tokens": 0}, "greater than or equal to 1"),
        ({"kind": "fixed", "tokens": 2.5}, "valid integer"),
        ({"kind": "fixed", "tokens": 20_000_000}, "less than or equal to 10000000"),
        ({"kind": "lognormal", "median": 100, "sigma": -1}, "greater than or equal to 0"),
        (
            {"kind": "lognormal", "median": 100, "sigma": 1, "high": 50},
            "median 100 must lie between low 1 and high 50",
        ),
        ({"kind": "lognormal", "median": 5, "sigma": 1, "low": 9, "high": 8}, "between low 9 and high 8"),
        ({"kind": "geometric", "mean": 0.5}, "greater than or equal to 1"),
        ({"kind": "normal", "mean": 5}, "'fixed', 'lognormal', 'geometric'"),
    ],
)
def test_an_impossible_length_is_refused(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        make(**fields)


@pytest.mark.parametrize(
    ("fields", "least"),
    [
        ({"kind": "fixed", "tokens": 7}, 7),
        ({"kind": "lognormal", "median": 100, "sigma": 3, "low": 5}, 5),
        ({"kind": "geometric", "mean": 40}, 1),
        ({"kind": "profile", "name": "azure-2023-conv", "of": "prompt"}, 1),
    ],
)
def test_no_draw_is_below_the_least(fields: dict[str, Any], least: int) -> None:
    length = make(**fields)
    assert length.least_tokens == least
    assert draw(length, 2000).min() >= least
