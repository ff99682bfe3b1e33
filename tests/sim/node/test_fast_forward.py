"""What makes the fast kernel fast, and its closed forms against plain loops. Equality has its own tests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodels.step_time import AffineStepTime
from sim.node.fast_forward import FastForward
from sim.node.kernel import BatchLimits, Sequence
from sim.node.kv_demand import blocks_in, steps_with
from sim.node.progression import StretchLog, lasting, steps_to_reach, steps_within
from sim.node.whole_batches import WholeBatches

FLAT = AffineStepTime(dense_ps=(100,))
# A decode step of one sequence lasts 100 ps and 1 for every token in its cache.
GROWING = AffineStepTime(dense_ps=(100,), kv_ps=1)

durations = st.tuples(st.integers(1, 10**12), st.sampled_from([0, 1, 7, 10**6, 10**12]))


def boundaries(kernel: FastForward, next_ps: int | None) -> list[int]:
    times = []
    while next_ps is not None:
        times.append(next_ps)
        next_ps = kernel.boundary(next_ps).next_ps
    return times


def test_a_lone_request_needs_three_boundaries_however_long_its_output() -> None:
    kernel = FastForward(BatchLimits(8, 1000), FLAT)
    next_ps = kernel.add(0, Sequence(0, 10, 25_000))
    assert boundaries(kernel, next_ps) == [0, 100, 2_500_000]
    assert kernel.steps == 25_000


def test_the_steps_of_a_stretch_grow_with_the_cache() -> None:
    kernel = FastForward(BatchLimits(8, 1000), GROWING)
    sequence = Sequence(0, 10, 5)
    next_ps = kernel.add(0, sequence)
    # 100 for the prompt, then 110 + 111 + 112 + 113
    assert boundaries(kernel, next_ps) == [0, 100, 546]


def test_an_arrival_cuts_the_stretch_at_the_first_boundary_after_it() -> None:
    kernel = FastForward(BatchLimits(8, 1000), GROWING)
    next_ps = kernel.add(0, Sequence(0, 10, 500))
    kernel.boundary(0)
    next_ps = kernel.boundary(100).next_ps
    assert next_ps is not None
    assert next_ps > 100_000
    assert kernel.add(322, Sequence(1, 10, 1)) == 433  # steps end at 210, 321, 433
    assert kernel.add(323, Sequence(2, 10, 1)) == 433


@pytest.mark.parametrize("limits", [BatchLimits(1, 1000), BatchLimits(8, 1)], ids=["slots", "budget"])
def test_an_arrival_that_cannot_enter_cuts_nothing(limits: BatchLimits) -> None:
    kernel = FastForward(limits, FLAT)
    kernel.add(0, Sequence(0, 1, 500))
    kernel.boundary(0)
    assert kernel.boundary(100).next_ps == 50_000
    assert kernel.add(350, Sequence(1, 1, 1)) == 50_000
    assert kernel.waiting == 1


def test_an_arrival_that_may_not_join_the_batch_cuts_nothing() -> None:
    batch = WholeBatches(1, None, together=False)
    kernel = FastForward(BatchLimits(8, 1000), FLAT, batches=batch)
    kernel.add(0, Sequence(0, 1, 500))
    kernel.boundary(0)
    assert kernel.boundary(100).next_ps == 50_000  # seven slots are left
    assert kernel.add(350, Sequence(1, 1, 1)) == 50_000


def test_arrivals_behind_one_that_lacks_blocks_cut_nothing() -> None:
    kernel = FastForward(BatchLimits(8, 1000, block_size=1, kv_blocks=700), FLAT)
    kernel.add(0, Sequence(0, 1, 500))
    kernel.boundary(0)
    kernel.boundary(100)
    assert kernel.add(250, Sequence(1, 698, 1)) == 300  # perhaps it can enter
    assert kernel.boundary(300).next_ps == 50_000  # it cannot: 697 blocks are free, one less after this step
    assert kernel.add(350, Sequence(2, 1, 1)) == 50_000


def test_a_long_prompt_is_one_stretch_of_full_chunks_and_a_rest() -> None:
    law = AffineStepTime(dense_ps=(100,), pair_ps=1, prefill_tile_tokens=50)
    kernel = FastForward(BatchLimits(8, 10), law)
    next_ps = kernel.add(0, Sequence(0, 35, 1))
    # chunks of 10 over 0, 10, 20 cached tokens: 100 + 50 * past + 55 pairs; then 5 over 30: 100 + 1500 + 15
    assert boundaries(kernel, next_ps) == [0, 155 + 655 + 1155, 1965 + 1615]


@pytest.mark.parametrize(("blocks", "steps"), [(45, 4), (44, 2)])
def test_full_chunks_are_one_stretch_for_as_long_as_blocks_last(blocks: int, steps: int) -> None:
    """After four steps one holds 5 blocks and the other 40; where that is one too many, two are planned."""
    kernel = FastForward(BatchLimits(8, 11, block_size=1, kv_blocks=blocks), FLAT)
    kernel.add(0, Sequence(0, 1, 9))
    kernel.boundary(0)
    kernel.add(50, Sequence(1, 40, 1))
    assert kernel.boundary(100).next_ps == 100 + steps * 100


def test_two_full_chunks_are_a_stretch_already() -> None:
    kernel = FastForward(BatchLimits(8, 10), FLAT)
    assert boundaries(kernel, kernel.add(0, Sequence(0, 20, 1))) == [0, 200]


def test_blocks_that_run_out_end_a_stretch() -> None:
    kernel = FastForward(BatchLimits(8, 1000, block_size=4, kv_blocks=8), FLAT)
    kernel.add(0, Sequence(0, 4, 28))
    next_ps = kernel.add(0, Sequence(1, 4, 20))
    # 4 + 4 cached at 100; each takes a block at 100, 500, 900, which leaves none for 1300: number 1 goes and
    # has 13 tokens by then. Number 0 is alone until 2800, and the other comes back for its last 7.
    assert boundaries(kernel, next_ps) == [0, 100, 1300, 1400, 2800, 2900, 3500]
    assert kernel.preemptions == 1


def test_a_schedule_answers_for_every_token_without_listing_them() -> None:
    kernel = FastForward(BatchLimits(8, 1000), GROWING, keep_schedule=True)
    sequence = Sequence(0, 10, 400)
    boundaries(kernel, kernel.add(0, sequence))
    ends = [100]
    for cached in range(10, 409):
        ends.append(ends[-1] + 100 + cached)
    assert [kernel.tokens_by(sequence, at) for at in ends] == list(range(1, 401))
    assert [kernel.tokens_by(sequence, at - 1) for at in ends] == list(range(400))


def test_without_a_schedule_the_past_cannot_be_asked_for() -> None:
    kernel = FastForward(BatchLimits(8, 1000), FLAT)
    sequence = Sequence(0, 10, 4)
    kernel.add(0, sequence)
    with pytest.raises(AssertionError, match="keep_schedule"):
        kernel.tokens_by(sequence, 0)


def test_blocks_in_use_grow_step_by_step_within_a_stretch() -> None:
    """Blocks of 4 tokens: the prompt of 6 has two from the first step on; tokens 9, 13, 17 each open another.

    The step that ends at 100 * k caches token 5 + k, and has room for it while it is under way.
    """
    kernel = FastForward(BatchLimits(8, 1000, block_size=4, kv_blocks=100), FLAT)
    kernel.add(0, Sequence(0, 6, 12))
    assert kernel.blocks_in_use(0) == 0
    kernel.boundary(0)
    assert kernel.blocks_in_use(50) == 2
    assert kernel.boundary(100).next_ps == 1200
    cached = {at_ps: 6 + -(-(at_ps - 100) // 100) for at_ps in (101, 200, 201, 300, 301, 400, 700, 701, 1200)}
    assert cached[300] == 8
    assert cached[301] == 9
    assert {at_ps: kernel.blocks_in_use(at_ps) for at_ps in cached} == {
        at_ps: -(-tokens // 4) for at_ps, tokens in cached.items()
    }
    assert [kernel.blocks_in_use(at_ps) for at_ps in (300, 301, 700, 701)] == [2, 3, 3, 4]
    kernel.boundary(1200)
    assert kernel.blocks_in_use(1300) == 0


def test_blocks_in_use_grow_with_the_chunks_of_a_long_prompt() -> None:
    kernel = FastForward(BatchLimits(8, 8, block_size=4, kv_blocks=100), FLAT)
    kernel.add(0, Sequence(0, 36, 1))
    assert kernel.boundary(0).next_ps == 400  # four chunks of 8; the rest comes after
    assert [kernel.blocks_in_use(at_ps) for at_ps in (1, 100, 101, 200, 201, 400)] == [2, 2, 4, 4, 6, 8]


class OtherStepTime:
    def step_ps(self, chunks: object, decodes: int, kv_tokens: int) -> int:
        return 100 + (decodes + kv_tokens) * (chunks is None)


def test_a_law_that_is_not_affine_is_refused() -> None:
    with pytest.raises(AssertionError, match="AffineStepTime"):
        FastForward(BatchLimits(8, 1000), OtherStepTime())


def test_an_ended_sequence_is_freed_without_a_collection_of_cycles() -> None:
    import gc
    import weakref

    class Owner:
        pass

    owner = Owner()
    gone = weakref.ref(owner)
    kernel = FastForward(BatchLimits(8, 1000), FLAT)
    gc.disable()
    try:
        boundaries(kernel, kernel.add(0, Sequence(0, 10, 4, owner)))
        del owner
        assert gone() is None
    finally:
        gc.enable()


@given(durations, st.integers(0, 200), st.integers(-1, 1))
def test_steps_within_a_time_are_those_that_a_loop_counts(
    law: tuple[int, int], steps: int, aside_ps: int
) -> None:
    first_ps, slope_ps = law
    elapsed_ps = max(0, sum(first_ps + slope_ps * j for j in range(steps)) + aside_ps)
    assert lasting(steps, first_ps, slope_ps) == sum(first_ps + slope_ps * j for j in range(steps))
    over = passed_ps = 0
    while passed_ps + first_ps + slope_ps * over <= elapsed_ps:
        passed_ps += first_ps + slope_ps * over
        over += 1
    assert steps_within(elapsed_ps, first_ps, slope_ps) == over
    assert steps_to_reach(elapsed_ps, first_ps, slope_ps) == max(1, over + (passed_ps < elapsed_ps))


def test_steps_are_exact_where_floats_are_not() -> None:
    first_ps, slope_ps, steps = 10**12 + 1, 10**6 + 3, 10**9
    end_ps = lasting(steps, first_ps, slope_ps)
    assert steps_within(end_ps, first_ps, slope_ps) == steps
    assert steps_within(end_ps - 1, first_ps, slope_ps) == steps - 1


def test_a_log_counts_no_steps_while_the_kernel_is_idle() -> None:
    log = StretchLog()
    log.append((1000, 0, 3, 10, 1))  # three steps from 1000 to 1033
    log.append((2000, 3, 2, 100, 0))  # two more, to 2200
    asked = [0, 1009, 1010, 1020, 1021, 1033, 1999, 2099, 2100, 9999]
    assert [log.steps_by(at) for at in asked] == [0, 0, 1, 1, 2, 3, 3, 3, 4, 5]
    log.forget(2000)
    assert [log.steps_by(at) for at in asked[-3:]] == [3, 4, 5]


@given(
    cached=st.lists(st.integers(1, 100), min_size=1, max_size=20),
    block_size=st.sampled_from([1, 4, 16]),
    first_step=st.integers(0, 100),
    steps=st.integers(0, 100),
    free=st.integers(0, 200),
)
def test_the_histogram_counts_the_blocks_that_sequences_take(
    cached: list[int], block_size: int, first_step: int, steps: int, free: int
) -> None:
    def taken(after: int) -> int:
        return sum(-(-(tokens + after) // block_size) + -tokens // block_size for tokens in cached)

    demand = [0] * block_size
    for tokens in cached:
        demand[(first_step - tokens) % block_size] += 1
    assert blocks_in(demand, first_step, steps, len(cached)) == taken(steps)
    fitting = max(after for after in range(steps + 1) if taken(after) <= free)
    assert steps_with(demand, first_step, steps, len(cached), free) == fitting
