import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodels.step_time import AffineStepTime
from sim.node.fast_forward import FastForward
from sim.node.gaps import GapCounts, stretch
from sim.node.kernel import BatchLimits, Sequence
from sim.node.progression import lasting
from sim.node.step_engine import StepEngine
from tests.support.kernel_driver import Arrive, Driver, Event
from tests.support.kernel_workload import random_workload

MS = 10**9


def counted(counts: GapCounts) -> list[tuple[int, int]]:
    """(mean, gaps) of every bin."""
    bins = counts.bins()
    return list(zip(bins.mean_ps.tolist(), bins.gaps.tolist(), strict=True))


def test_a_stretch_counts_every_step_once_for_each_token_that_it_brings() -> None:
    counts = GapCounts()
    counts.add(stretch(0, 3, 100, 7, 4))  # steps of 100, 107 and 114, four tokens each
    assert counted(counts) == [(100, 4), (107, 4), (114, 4)]


def test_equal_gaps_keep_their_exact_length() -> None:
    counts = GapCounts()
    counts.add(stretch(0, 1000, 70_600_000, 0, 1))
    assert counted(counts) == [(70_600_000, 1000)]


def test_gaps_of_more_than_64_bits_together_keep_their_mean() -> None:
    counts = GapCounts()
    shortest = 1 << 42
    longest = shortest + (1 << 33) - 1  # of the same bin
    for _ in range(40):  # a minute each, of a million sequences
        for _ in range(300):
            counts.add(stretch(0, 1, longest, 0, 1_000_000))
        counts.bins()
    assert counted(counts) == [(longest, 40 * 300 * 1_000_000)]


def test_only_gaps_that_end_in_the_window_count() -> None:
    counts = GapCounts(start_ps=250, end_ps=500)
    counts.add(stretch(0, 8, 100, 0, 1))  # ends at 100, 200 .. 800: those at 300 and 400 are inside
    counts.add(stretch(500, 2, 100, 0, 1))
    counts.add(stretch(0, 1, 249, 0, 1))
    counts.add(stretch(0, 1, 250, 0, 1))
    assert counted(counts) == [(100, 2), (250, 1)]


stretches = st.lists(
    st.tuples(
        st.integers(0, 10**6),
        st.integers(1, 60),
        st.integers(1, 10**7),
        st.sampled_from([0, 1, 13, 400, 90_000]),
        st.integers(1, 5),
    ),
    max_size=8,
)


@given(stretches, st.integers(0, 10**6), st.integers(0, 10**8))
def test_bins_hold_what_a_list_of_all_gaps_holds(
    rows: list[tuple[int, int, int, int, int]], start_ps: int, window_ps: int
) -> None:
    counts = GapCounts(start_ps, start_ps + window_ps)
    listed = []
    for row in rows:
        counts.add(stretch(*row))
        started, steps, first, slope, each = row
        for step in range(steps):
            end = started + lasting(step + 1, first, slope)
            if start_ps <= end < start_ps + window_ps:
                listed += [first + slope * step] * each
    bins = counts.bins()
    assert int(bins.gaps.sum()) == len(listed)
    for low, high, mean, number in zip(*(column.tolist() for column in bins), strict=True):
        inside = [gap for gap in listed if low <= gap < high]
        assert len(inside) == number
        assert mean == sum(inside) // number
        assert high - low <= max(1, low / 500)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_both_kernels_count_the_same_gaps(seed: int) -> None:
    workload, plain, fast = random_workload(np.random.default_rng(seed)), GapCounts(), GapCounts()
    limits, law = workload.limits, workload.law
    course = Driver(StepEngine(limits, law, keep_schedule=True, gaps=plain), workload.events).run()
    Driver(FastForward(limits, law, keep_schedule=True, gaps=fast), course.events).run()
    assert counted(plain) == counted(fast)


@pytest.mark.parametrize("kernel", [StepEngine, FastForward])
def test_a_preemption_counts_once_with_its_full_length(kernel: type[StepEngine] | type[FastForward]) -> None:
    """Eight tokens of KV for two sequences of 2 + 5: the younger one waits until the other is done."""
    counts = GapCounts()
    node = kernel(BatchLimits(2, 100, 1, 8), AffineStepTime(dense_ps=(MS,)), gaps=counts)
    both = [Sequence(number, 2, 5) for number in range(2)]
    next_ps: int | None = None
    for sequence in both:
        next_ps = node.add(0, sequence)
    while next_ps is not None:
        next_ps = node.boundary(next_ps).next_ps
    older, younger = both
    assert (older.first_ps, older.last_ps) == (MS, 5 * MS)
    assert (younger.preemptions, younger.first_ps, younger.last_ps) == (1, MS, 7 * MS)
    # Tokens of the younger one at 1, 2, 3, 6 and 7 ms, of the other at 1, 2, 3, 4 and 5.
    assert counted(counts) == [(MS, 7), (3 * MS, 1)]


def test_the_gaps_add_up_to_the_time_between_first_and_last_tokens() -> None:
    counts, law = (
        GapCounts(),
        AffineStepTime(dense_ps=(700,), token_ps=11, decode_ps=40, kv_ps=3, mixed_kv_ps=5),
    )
    events = [Event(90 * number, Arrive(number, 3 + number % 7, 1 + number % 40)) for number in range(120)]
    course = Driver(FastForward(BatchLimits(16, 64, 4, 20), law, gaps=counts), events).run()
    assert course.counters[1] > 10, "preemptions"
    sequences = course.sequences.values()
    bins = counts.bins()
    assert int(bins.gaps.sum()) == sum(s.output_tokens - 1 for s in sequences)
    total_ps = sum(s.last_ps - s.first_ps for s in sequences)
    rounding_ps = int(bins.gaps.sum())  # means are rounded down
    assert total_ps - rounding_ps <= int((bins.gaps * bins.mean_ps).sum()) <= total_ps
