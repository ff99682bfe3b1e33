"""Ranks that keep step: one alone is a plain engine, several wait for the slowest, and nothing gets lost."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodels.step_time import AffineStepTime, slowed
from sim.node.kernel import BatchLimits, Sequence
from sim.node.lockstep import LockstepKernel, Planned, Rank
from sim.node.step_engine import StepEngine

LIMITS = BatchLimits(max_num_seqs=4, max_num_batched_tokens=16, block_size=4, kv_blocks=40)
# 100 ps, 10 for a prompt token, 1 for a KV token; together 7 for each token of all ranks
LAW = AffineStepTime(
    dense_ps=(100,), token_ps=10, kv_ps=1, mixed_kv_ps=1, shared_ps=tuple(range(0, 7 * 65, 7))
)


def kernel(ranks: int, law: AffineStepTime = LAW) -> LockstepKernel:
    return LockstepKernel(
        law, ranks, lambda stepped: Rank(LIMITS, Planned(), keep_schedule=True, stepped=stepped)
    )


def run(one: LockstepKernel | StepEngine, arrivals: dict[int, list[Sequence]]) -> list[int]:
    """The times of all boundaries, until nothing is left to do."""
    due, ends, coming = None, [], sorted(arrivals.items())
    while coming or due is not None:
        if coming and (due is None or coming[0][0] <= due):
            now, sequences = coming.pop(0)
            for sequence in sequences:
                due = one.add(now, sequence)
            continue
        assert due is not None
        ends.append(due)
        due = one.boundary(due).next_ps
    return ends


def test_a_step_lasts_as_long_as_the_slowest_rank_and_the_experts_of_all() -> None:
    short, long = Sequence(0, 2, 2), Sequence(1, 12, 1)
    ends = run(kernel(2), {0: [short, long]})
    # 12 prompt tokens are the longer step, and 14 tokens meet the experts: 100 + 120 + 98
    # then one decode over 2 tokens, and a token of the idle rank's dummy step: 100 + 2 + 14
    assert ends == [0, 318, 318 + 116]
    assert (short.first_ps, long.last_ps, short.last_ps) == (318, 318, 434)


def test_an_idle_rank_lets_nobody_in_before_the_step_of_the_others_is_over() -> None:
    first, second = Sequence(0, 10, 1), Sequence(1, 3, 1)
    one = kernel(2)
    assert one.add(0, first) == 0
    due = one.boundary(0).next_ps
    assert due == 100 + 100 + 7 * 11, "with a token of the dummy step"
    assert one.add(5, second) == due, "a plain idle engine would start now"
    one.boundary(due)
    assert second.started_ps == due


def test_a_sequence_goes_to_the_rank_with_least_to_do() -> None:
    one = kernel(3)
    run(one, {0: [Sequence(number, 4, 1) for number in range(3)]})
    # each alone on its rank: one step of 12 tokens for all
    assert one.busy_ps == 100 + 40 + 7 * 12
    assert one.steps == 1


def test_only_a_step_that_follows_none_is_launched() -> None:
    one = LockstepKernel(LAW, 2, lambda stepped: Rank(LIMITS, Planned(), stepped=stepped), launch_ps=30)
    first, second = Sequence(0, 10, 2), Sequence(1, 3, 1)
    one.add(0, first)
    due = one.boundary(0).next_ps
    assert due == 30 + 100 + 100 + 7 * 11
    assert first.started_ps == 30
    one.add(50, second)
    assert one.boundary(due).next_ps == due + 100 + 30 + 7 * 4
    assert (second.started_ps, one.busy_ps) == (due, due - 30)


def test_all_ranks_are_lost_together() -> None:
    one = kernel(2)
    sequences = [Sequence(number, 4, 9) for number in range(5)]
    for sequence in sequences:
        one.add(0, sequence)
    due = one.boundary(0).next_ps
    assert due is not None
    boundary = one.drain(due - 1)
    assert boundary.ended == sequences
    assert (one.running, one.waiting, one.free_blocks, one.steps) == (0, 0, 80, 0)


def test_a_slow_node_is_slow_for_its_experts_too() -> None:
    one = kernel(2)
    one.change_law(0, slowed(LAW, 3))
    run(one, {0: [Sequence(0, 5, 1)]})
    assert one.busy_ps == 3 * (100 + 50 + 7 * 6)


def test_one_watcher_hears_of_each_step_once() -> None:
    heard: list[tuple[int, int]] = []
    one = LockstepKernel(
        LAW,
        2,
        lambda stepped: Rank(LIMITS, Planned(), stepped=stepped),
        lambda steps, tokens: heard.append((steps, tokens)),
    )
    run(one, {0: [Sequence(0, 5, 2), Sequence(1, 6, 1)]})
    assert heard == [(1, 11), (1, 1)]


def test_counters_are_those_of_all_ranks_together() -> None:
    """One on each; the second is done after its prefill."""
    one = kernel(2)
    begins, prefilled, done = run(one, {0: [Sequence(0, 5, 2), Sequence(1, 6, 1)]})
    assert one.steps == 2
    assert one.busy_ps == done - begins
    assert one.sequence_ps == 2 * (prefilled - begins) + (done - prefilled)
    assert (one.prompt_tokens_done, one.output_tokens_done) == (5 + 6, 2 + 1)


SIZES = st.tuples(st.integers(0, 2000), st.integers(1, 60), st.integers(1, 20))


def workload(sizes: list[tuple[int, int, int]]) -> dict[int, list[Sequence]]:
    arrivals: dict[int, list[Sequence]] = {}
    for number, (at, prompt, output) in enumerate(sizes):
        arrivals.setdefault(at, []).append(Sequence(number, prompt, output))
    return arrivals


@given(st.lists(SIZES, min_size=1, max_size=12))
@settings(max_examples=40, deadline=None)
def test_a_lone_rank_is_a_plain_engine(sizes: list[tuple[int, int, int]]) -> None:
    alone = AffineStepTime(dense_ps=(100,), token_ps=10, kv_ps=1, mixed_kv_ps=1)
    ours, theirs = workload(sizes), workload(sizes)
    assert run(kernel(1, alone), ours) == run(StepEngine(LIMITS, alone), theirs)
    for at in ours:
        for mine, other in zip(ours[at], theirs[at], strict=True):
            assert (mine.started_ps, mine.first_ps, mine.last_ps) == (
                other.started_ps,
                other.first_ps,
                other.last_ps,
            )


@given(st.lists(SIZES, min_size=1, max_size=12), st.integers(2, 4))
@settings(max_examples=40, deadline=None)
def test_every_sequence_ends_once_and_every_block_comes_back(
    sizes: list[tuple[int, int, int]], ranks: int
) -> None:
    one, arrivals = kernel(ranks), workload(sizes)
    ends = run(one, arrivals)
    assert all(earlier < later for earlier, later in pairwise(ends))
    for at, sequences in arrivals.items():
        for sequence in sequences:
            assert at <= sequence.started_ps < sequence.first_ps <= sequence.last_ps
            assert {sequence.started_ps, sequence.first_ps, sequence.last_ps} <= set(ends)
            assert one.tokens_by(sequence, ends[-1]) == sequence.output_tokens
    assert one.free_blocks == ranks * LIMITS.kv_blocks
    assert one.output_tokens_done == sum(output for _, _, output in sizes)
    assert one.preemptions == sum(sequence.preemptions for here in arrivals.values() for sequence in here)
    assert (one.running, one.waiting) == (0, 0)


def test_ranks_that_hand_over_keep_their_blocks_until_released() -> None:
    one, sequence = kernel(2), Sequence(0, 8, 5)
    sequence.hands_over = True
    run(one, {0: [sequence]})
    assert one.free_blocks == 78
    due = one.release(1000, sequence)
    assert due == 1000
    one.boundary(due)
    assert one.free_blocks == 80


@pytest.mark.parametrize("ranks", [2, 3])
def test_a_removal_takes_effect_when_the_step_of_all_is_over(ranks: int) -> None:
    one, gone, stays = kernel(ranks), Sequence(0, 4, 9), Sequence(1, 4, 9)
    one.add(0, gone)
    one.add(0, stays)
    due = one.boundary(0).next_ps
    assert due is not None
    assert one.remove(due - 3, gone) == due
    assert one.boundary(due).ended == [gone]
    assert gone.last_ps == due
