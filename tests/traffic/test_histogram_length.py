"""Lengths by buckets: the shares, the places in a bucket, and the mean that a fit asks for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from traffic.histogram_length import HistogramLength, fitted_within


def lengths(*buckets: tuple[int, float], within: float = 0.5) -> HistogramLength:
    stated = [{"up_to": edge, "share": share} for edge, share in buckets]
    return HistogramLength.model_validate({"buckets": stated, "within": within})


class Stub(np.random.Generator):
    """Gives the uniforms that a test states."""

    def __init__(self, *values: float) -> None:
        super().__init__(np.random.PCG64(1))
        self.values = np.array(values)

    def random(self, n: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:  # type: ignore[override]
        assert n == len(self.values)
        return self.values


def test_a_uniform_says_the_bucket_and_the_place_in_it() -> None:
    of = lengths((10, 0), (20, 1), (24, 3))
    # A quarter lies in 11 to 20, evenly; the rest in 21 to 24.
    drawn = of.sample(Stub(0.0, 0.024, 0.026, 0.249, 0.25, 0.44, 0.99), 7)
    assert drawn.tolist() == [11, 11, 12, 20, 21, 22, 24]
    assert of.least_tokens == 11
    assert of.mean_tokens == pytest.approx(0.25 * 15.5 + 0.75 * 22.5)


def test_within_leans_to_one_end_of_a_bucket() -> None:
    # 0.75: k = 3, so the middle of the bucket is passed at an eighth of the variate.
    assert lengths((1000, 1), within=0.75).sample(Stub(0.124, 0.126), 2).tolist() == [499, 502]
    assert lengths((1000, 1), within=0.75).mean_tokens == pytest.approx(750.5, abs=0.3)


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(1, 3000), st.integers(0, 9)), min_size=1, max_size=5),
    st.floats(0.05, 0.95),
    st.integers(0, 2**32),
)
def test_draws_keep_to_shares_bounds_and_mean(
    widths: list[tuple[int, int]], within: float, seed: int
) -> None:
    edges = np.cumsum([width for width, _ in widths]).tolist()
    buckets = [(edge, share) for edge, (_, share) in zip(edges, widths, strict=True)]
    if not any(share for _, share in buckets):
        buckets[0] = (buckets[0][0], 1)
    of = lengths(*buckets, within=within)
    drawn = of.sample(np.random.default_rng(seed), 4000)
    assert drawn.min() >= of.least_tokens
    assert drawn.max() <= max(edge for edge, share in buckets if share)
    spread = drawn.std() / np.sqrt(len(drawn))
    assert abs(drawn.mean() - of.mean_tokens) <= 6 * spread + 0.01
    assert (
        fitted_within(of, of.mean_tokens) == pytest.approx(within, abs=1e-6)
        or max(width for (width, share) in widths) == 1
        or of.mean_tokens == pytest.approx(of.model_copy(update={"within": 0.5}).mean_tokens)
    )


@pytest.mark.parametrize(
    ("buckets", "sentence"),
    [
        (((10, 1), (10, 1)), "up_to 10 follows 10: buckets come one after the other"),
        (((10, 0),), "every share of the buckets is 0"),
    ],
)
def test_buckets_that_make_no_sense_are_refused(
    buckets: tuple[tuple[int, float], ...], sentence: str
) -> None:
    with pytest.raises(ValidationError, match=sentence):
        lengths(*buckets)
