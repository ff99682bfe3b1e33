import numpy as np

from reports.warm_up import remembered, stands_out
from tests.support.queues import waits

SECOND_PS = 10**12


def remembered_by(*replications: np.ndarray) -> int:
    owner = np.repeat(np.arange(len(replications)), [len(part) for part in replications])
    at_ps = np.concatenate([np.arange(len(part)) * SECOND_PS for part in replications])
    dealt = np.random.default_rng(1).permutation(len(owner))  # by time within each, whatever their order
    return remembered(np.concatenate(replications)[dealt], owner[dealt], at_ps[dealt])


def test_independent_requests_remember_nothing() -> None:
    assert remembered_by(*np.random.default_rng(2).random((10, 2_000))) <= 1


def test_heaps_of_forty_are_remembered_for_two_of_them() -> None:
    # A time of 40 requests, of which one is each request's own: 2 x 39.
    heaps = np.repeat(np.random.default_rng(3).random((10, 200)), 40, axis=1)
    assert abs(remembered_by(*heaps) - 78) < 10


def test_a_queue_at_load_0_9_remembers_for_hundreds_of_requests() -> None:
    rng = np.random.default_rng(4)
    assert 150 < remembered_by(*(waits(rng, 8_000, 0.9) for _ in range(10))) < 700


def test_a_start_stands_out_by_more_than_four_standard_errors() -> None:
    # Those kept are 1 and -1 by turns: their deviation is 1 and the error of 16, if independent, 1/4.
    kept = np.tile([1.0, -1.0], 200)
    assert stands_out(np.concatenate([np.full(16, 1.01), kept]), 16, 1.0)
    assert not stands_out(np.concatenate([np.full(16, 0.99), kept]), 16, 1.0)
    assert not stands_out(np.concatenate([np.full(16, 1.99), kept]), 16, 4.0)
    assert not stands_out(kept, 0, 1.0)
