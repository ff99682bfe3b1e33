import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reports.effective import autocorrelation_time, block_edges, blocks_per_replication


def heaps(rng: np.random.Generator, number: int, size: int) -> np.ndarray:
    """Events that come `size` at a time, and are independent otherwise."""
    return np.repeat(rng.random(number) < 0.2, size)


def test_independent_events_have_a_time_of_one_request() -> None:
    assert autocorrelation_time([np.random.default_rng(1).random(20_000) < 0.2]) == pytest.approx(1, abs=0.15)


def test_events_in_heaps_of_a_hundred_have_a_time_of_a_hundred_requests() -> None:
    rng = np.random.default_rng(2)
    whole = heaps(rng, 5_000, 100)
    assert autocorrelation_time([whole]) == pytest.approx(100, rel=0.1)
    assert autocorrelation_time(np.split(whole, 10)) == pytest.approx(100, rel=0.1)


def test_a_first_order_process_has_the_time_of_its_closed_form() -> None:
    # Two states, left with probability 0.02 each: the correlation at lag k is 0.96^k, and tau = 1.96 / 0.04.
    switched = np.cumsum(np.random.default_rng(3).random(400_000) < 0.02) % 2 == 1
    assert autocorrelation_time([switched]) == pytest.approx(49, rel=0.15)


def test_pairs_of_events_count_twice_as_worked_by_hand() -> None:
    # 48 requests, 24 events. Batches of two hold 2 or 0, each 1 from its mean: 24 / (24 * 2 * 0.5 * 0.5) = 2.
    # There are 12 batches of four, and so too few.
    assert autocorrelation_time([np.tile([True, True, False, False], 12)]) == 2


@given(st.lists(st.lists(st.booleans(), max_size=200), min_size=1, max_size=4))
def test_what_happens_and_what_does_not_have_the_same_time_to_the_last_bit(found: list[list[bool]]) -> None:
    parts = [np.array(part, np.bool_) for part in found]
    assume(sum(map(len, parts)))
    assert autocorrelation_time(parts) == autocorrelation_time([~part for part in parts])


def test_what_never_or_always_happens_tells_nothing() -> None:
    assert autocorrelation_time([np.zeros(50, np.bool_)]) == 1
    assert autocorrelation_time([np.ones(50, np.bool_)]) == 1


def test_a_wave_as_long_as_the_run_is_worth_a_handful_of_requests() -> None:
    wave = np.sin(np.linspace(0, 2 * np.pi, 6_000)) > 0.8
    assert 6_000 / autocorrelation_time([wave]) < 40


@pytest.mark.parametrize(
    ("counts", "time", "blocks"),
    [
        ([6_000], 1.0, [20]),  # twenty are enough
        ([6_000], 20.0, [15]),  # of 20 x 20 requests
        ([6_000], 1_000.0, [1]),
        ([3_000, 1_000, 0], 10.0, [15, 5, 1]),
        ([200] * 10, 10.0, [1] * 10),
        ([50_000] * 20, 1.0, [1] * 20),  # as many replications as blocks are left alone
    ],
)
def test_few_long_replications_are_cut_into_blocks(counts: list[int], time: float, blocks: list[int]) -> None:
    assert blocks_per_replication(np.array(counts), time).tolist() == blocks


def test_no_block_crosses_replications() -> None:
    assert block_edges(np.array([0, 10, 14]), np.array([3, 2])).tolist() == [0, 3, 6, 10, 12, 14]
