"""`distinct` and `among` say what numpy's own say, without what numpy loads for them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reports.arrays import among, distinct, quantile

SOME = st.integers(-5, 5) | st.sampled_from([-(10**12), 10**12])
integers = st.lists(SOME, max_size=20).map(lambda values: np.array(values, np.int64))


def test_distinct_values_come_in_order() -> None:
    assert distinct(np.array([3, 1, 3, 2, 1])).tolist() == [1, 2, 3]
    assert distinct(np.array([], np.int64)).tolist() == []


def test_values_are_told_by_whether_they_are_known() -> None:
    assert among(np.array([3, 1, 9, 2, 0]), np.array([2, 3, 3])).tolist() == [True, False, False, True, False]
    assert among(np.array([1, 2]), np.array([], np.int64)).tolist() == [False, False]
    assert among(np.array([], np.int64), np.array([1])).tolist() == []


@given(integers, integers)
def test_they_agree_with_numpy(
    values: "np.typing.NDArray[np.int64]", known: "np.typing.NDArray[np.int64]"
) -> None:
    assert distinct(values).tolist() == np.unique(values).tolist()
    assert among(values, known).tolist() == np.isin(values, known).tolist()


def test_a_quantile_lies_between_two_values() -> None:
    assert quantile(np.array([4.0, 1.0, 2.0]), 0.75) == 3.0


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=40),
    st.sampled_from([0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0]),
)
def test_a_quantile_is_numpys_to_the_last_bit(values: list[float], probability: float) -> None:
    found = quantile(np.array(values), probability)
    assert found == float(np.quantile(np.array(values), probability))
