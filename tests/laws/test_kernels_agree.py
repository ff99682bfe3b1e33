"""The fast kernel does what the plain one does, to the picosecond, on whatever comes."""

import os
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodels.step_time import AffineStepTime
from sim.node.gaps import GapCounts
from sim.node.kernel import BatchLimits
from sim.node.preemption_log import Preemption, PreemptionLog
from sim.node.prefills import ASYNCHRONOUS, PREFILLS
from sim.node.watch import WatchedGaps
from sim.node.whole_batches import ADMISSIONS, WholeBatches
from tests.support.kernel_driver import (
    Action,
    Arrive,
    Ask,
    Cancel,
    ChangeLaw,
    Course,
    Drain,
    Driver,
    Event,
    Told,
    Workload,
)
from tests.support.kernel_workload import random_workload, with_hand_overs, with_prefixes
from tests.support.queues_and_pools import (
    QUEUES,
    Log,
    LoggingNaivePool,
    LoggingPool,
    LoggingPrefixPool,
)

SOAK_WORKLOADS = int(os.environ.get("E80SIM_SOAK_WORKLOADS", "5000"))


def assert_kernels_agree(
    workload: Workload,
    order: str = "fcfs",
    *,
    preempt: bool = False,
    admission: str = "continuous",
    max_delay_ps: int = 0,
    prefill: str = "chunked",
    async_scheduling: bool = False,
    launch_ps: int = 0,
    pools: tuple[type[Log], type[Log]] = (LoggingPool, LoggingPool),
) -> Course:
    """`pools` of the plain one and of the fast one."""
    limits, law = workload.limits, workload.law
    gaps, fast_gaps = GapCounts(), GapCounts()
    told, fast_told = Told(), Told()
    preempted: list[Preemption] = []
    fast_preempted: list[Preemption] = []
    pool, fast_pool = (make(limits.kv_blocks, limits.block_size) for make in pools)

    def batches() -> WholeBatches | None:
        return ADMISSIONS[admission](limits.max_num_seqs, max_delay_ps)

    engines = ASYNCHRONOUS if async_scheduling else PREFILLS[prefill]
    engine = engines["step"](
        limits,
        law,
        keep_schedule=True,
        gaps=WatchedGaps(gaps, told.add),
        stepped=told.stepped,
        queue=QUEUES[order](),
        pool=pool,
        preempt=preempt,
        batches=batches(),
        launch_ps=launch_ps,
        preemption_log=PreemptionLog(preempted.append),
    )
    plain = Driver(engine, workload.events, told).run()
    plain.preemptions = preempted
    kernel = engines["fast"](
        limits,
        law,
        keep_schedule=True,
        gaps=WatchedGaps(fast_gaps, fast_told.add),
        stepped=fast_told.stepped,
        queue=QUEUES[order](),
        pool=fast_pool,
        preempt=preempt,
        batches=batches(),
        launch_ps=launch_ps,
        preemption_log=PreemptionLog(fast_preempted.append),
    )
    fast = Driver(
        kernel, plain.events, fast_told
    ).run()  # with the times at which the plain one had its boundaries
    assert fast_pool.log == pool.log
    assert fast.firsts == plain.firsts
    assert fast.ended == plain.ended
    assert fast.stamps() == plain.stamps()
    assert fast.counters == plain.counters
    assert fast_preempted == preempted
    assert_all_preemptions_are_told(plain, formed_ahead=async_scheduling)
    assert fast.answers == plain.answers
    assert fast.cached == plain.cached
    assert [column.tolist() for column in fast_gaps.bins()] == [column.tolist() for column in gaps.bins()]
    assert (fast_told.steps, fast_told.gaps) == (told.steps, told.gaps)
    assert fast.told == plain.told, "also in the middle of stretches"
    assert fast.blocks == plain.blocks
    assert fast.occupancy == plain.occupancy
    assert fast.free_blocks.items() <= plain.free_blocks.items()  # it has fewer boundaries, at the same times
    assert (kernel.waiting, kernel.running, kernel.free_blocks) == (0, 0, limits.kv_blocks)
    return plain


def assert_all_preemptions_are_told(course: Course, *, formed_ahead: bool) -> None:
    """Each once, in an order in which it could have come about.

    Of a step formed ahead nobody may be left, while who is complete still holds blocks: once the engine hears
    of that, it forms another at the same instant; and who was taken in may leave at that instant.
    """
    told = Counter(one.number for one in course.preemptions)
    assert told == Counter({s.number: s.preemptions for s in course.sequences.values()}) + Counter()
    spans: dict[int, list[tuple[int, int]]] = {}
    for one in course.preemptions:
        sequence = course.sequences[one.number]
        assert 0 <= one.found_tokens <= one.held_tokens <= sequence.prompt_tokens + sequence.output_tokens
        assert sequence.started_ps < one.lost_ps <= sequence.last_ps, "it was in a step, and left later"
        assert (
            one.back_ps == -1
            or one.lost_ps + (not formed_ahead) <= one.back_ps < sequence.last_ps + formed_ahead
        )
        assert one.pushed_out <= (one.by != one.number), "nobody pushes himself out"
        by = course.sequences[one.by]
        assert by.priority <= sequence.priority or not one.pushed_out
        assert one.pushed_out or by.started_ps < one.lost_ps, "who grows was in a step"
        spans.setdefault(one.number, []).append((one.lost_ps, one.back_ps))
    for times in spans.values():
        # A drain may have taken it out before it came back; what a hand-over left may be pushed out last.
        for (_, back_ps), (lost_ps, _) in pairwise(sorted(times)):
            assert back_ps < lost_ps


prices = st.sampled_from([0, 1, 3, 50])
laws = st.builds(
    AffineStepTime,
    dense_ps=st.lists(st.integers(0, 20), min_size=1, max_size=4).map(tuple),
    token_ps=prices,
    pair_ps=prices,
    chunk_ps=prices,
    decode_ps=prices,
    kv_ps=prices,
    mixed_kv_ps=prices,
    prompts_ps=prices,
    prefill_tile_tokens=st.sampled_from([0, 1, 5]),
)


@st.composite
def arrivals(
    draw: st.DrawFn, number: int, follower: Arrive | None = None, prompt: int | None = None
) -> Arrive:
    prompt, output = prompt or draw(st.integers(1, 20)), draw(st.integers(1, 12))
    generated = draw(st.just(0) | st.integers(0, output - 1))
    computed = draw(st.just(0) | st.integers(0, prompt + generated - 1))
    hangs_up, stops = draw(st.booleans()), draw(st.booleans())
    return Arrive(number, prompt, output, computed, generated, hangs_up, follower, stops=stops)


@st.composite
def small_workloads(draw: st.DrawFn) -> Workload:
    """Few sequences and small numbers, so that a failure shrinks to something a person can follow."""
    count = draw(st.integers(1, 8))
    actions: list[Action] = []
    for number in range(count):
        follower = draw(st.none() | arrivals(number=number + count))
        arrival = draw(arrivals(number=number, follower=follower))
        numbers = range((2 + number) * 10, (2 + number) * 10 + draw(st.sampled_from([0, 0, 1, 3])))
        siblings = (draw(arrivals(number=other, prompt=arrival.prompt_tokens)) for other in numbers)
        actions.append(replace(arrival, siblings=tuple(siblings)))
    others: st.SearchStrategy[Action] = st.one_of(
        st.builds(Cancel, st.integers(0, 2 * count - 1) | st.integers(20, 20 + 10 * count)),
        st.builds(ChangeLaw, laws),
        st.builds(Drain, st.booleans()),
        st.builds(Ask, st.tuples(st.floats(0, 1)), st.none() | st.floats(0, 1)),
    )
    actions += draw(st.lists(others, max_size=6))
    events = [
        Event(draw(st.integers(0, 300)), action, draw(st.booleans()), draw(st.booleans()))
        for action in actions
    ]
    block_size = draw(st.sampled_from([1, 2, 4]))
    limits = BatchLimits(
        max_num_seqs=draw(st.integers(1, 6)),
        max_num_batched_tokens=draw(st.integers(1, 30)),
        block_size=block_size,
        kv_blocks=-(-32 // block_size) + draw(st.integers(0, 20)),
        watermark_blocks=draw(st.sampled_from([0, 0, 1, 8, 40])),
    )
    return Workload(limits, draw(laws), events)


@settings(max_examples=100, deadline=None)
@given(small_workloads())
def test_both_kernels_give_every_stamp_of_small_workloads_alike(workload: Workload) -> None:
    assert_kernels_agree(workload)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_both_kernels_give_every_stamp_of_random_workloads_alike(seed: int) -> None:
    assert_kernels_agree(random_workload(np.random.default_rng(seed)))


def test_the_random_workloads_hold_what_could_make_the_kernels_differ() -> None:
    courses = [assert_kernels_agree(random_workload(np.random.default_rng(seed))) for seed in range(60)]
    assert sum(len(course.sequences) for course in courses) > 2000
    assert sum(course.counters[1] for course in courses) > 500, "preemptions"
    lost = [one for course in courses for one in course.preemptions]
    assert sum(one.by == one.number for one in lost) > 100
    assert sum(one.by != one.number for one in lost) > 100
    assert any(one.back_ps < 0 for one in lost), "taken out while away"
    ended = [(s, course) for course in courses for s in course.sequences.values()]
    assert sum(s.generated < s.output_tokens for s, _ in ended) > 100, "removals and drains"
    at_boundaries = [
        event for course in courses for event in course.events if event.at_ps in course.free_blocks
    ]
    assert len(at_boundaries) > 200, "ties"
    assert sum(len(course.answers) for course in courses) > 10_000


@pytest.mark.parametrize("order", [order for order in QUEUES if order != "fcfs"])
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_both_kernels_agree_whatever_the_order_of_the_queue(order: str, seed: int) -> None:
    assert_kernels_agree(random_workload(np.random.default_rng(seed), most=50), order)


def with_budget_for_all(workload: Workload) -> Workload:
    """A step takes the longest prompt, with its answer so far."""
    longest = max(
        one.prompt_tokens + one.output_tokens
        for event in workload.events
        if isinstance(event.action, Arrive)
        for first in (event.action, event.action.follower)
        if first is not None
        for one in (first, *first.siblings)
    )
    budget = max(workload.limits.max_num_batched_tokens, longest)
    return replace(workload, limits=replace(workload.limits, max_num_batched_tokens=budget))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_both_kernels_agree_where_prompts_are_computed_whole(seed: int) -> None:
    rng = np.random.default_rng(seed)
    workload, order = random_workload(rng, most=50), str(rng.choice(sorted(QUEUES)))
    workload = with_budget_for_all(workload)
    admission = str(rng.choice(["continuous", "continuous", "dynamic", "static"]))
    preempt = QUEUES[order]().ranked and admission == "continuous"
    assert_kernels_agree(workload, order, preempt=preempt, admission=admission, prefill="whole")


@settings(max_examples=40, deadline=None)
@given(workload=small_workloads(), launch_ps=st.sampled_from([0, 1, 40]))
def test_both_kernels_agree_where_steps_of_small_workloads_are_formed_ahead(
    workload: Workload, launch_ps: int
) -> None:
    assert_kernels_agree(workload, async_scheduling=True, launch_ps=launch_ps)


def assert_agree_ahead(seed: int, most: int = 40) -> Course:
    """With all that goes with it: queues, pushing out, prefix caches, hand-overs, a launch."""
    rng = np.random.default_rng([14, seed])
    workload, order = random_workload(rng, most), str(rng.choice(sorted(QUEUES)))
    pools: tuple[type[Log], type[Log]] = (LoggingPool, LoggingPool)
    if rng.random() < 0.4:
        workload, pools = with_prefixes(rng, workload), (LoggingNaivePool, LoggingPrefixPool)
    if rng.random() < 0.3:
        workload = with_hand_overs(rng, workload)
    return assert_kernels_agree(
        workload,
        order,
        preempt=bool(QUEUES[order]().ranked and rng.random() < 0.5),
        async_scheduling=True,
        launch_ps=int(rng.choice([0, 1, 10**5, 10**7])),
        pools=pools,
    )


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_both_kernels_agree_where_steps_are_formed_ahead(seed: int) -> None:
    assert_agree_ahead(seed)


@pytest.mark.soak
@pytest.mark.timeout(0)  # its length is what it is for
def test_both_kernels_agree_on_thousands_of_random_workloads_ahead() -> None:
    for seed in range(SOAK_WORKLOADS):
        assert_agree_ahead(seed, most=80)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_both_kernels_agree_where_nobody_joins_a_batch(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert_kernels_agree(
        random_workload(rng, most=50),
        str(rng.choice(sorted(QUEUES))),
        admission=str(rng.choice(["static", "dynamic"])),
        max_delay_ps=int(rng.choice([0, 10**5, 10**7, 10**9])),
    )


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_both_kernels_agree_where_the_urgent_push_others_out(seed: int) -> None:
    assert_kernels_agree(random_workload(np.random.default_rng(seed), most=50), "priority", preempt=True)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_both_kernels_agree_whatever_prompts_have_in_common(seed: int) -> None:
    assert_caches_agree(seed, most=30)


def assert_caches_agree(seed: int, most: int = 50) -> Course:
    """The plain kernel with a pool of single blocks, the fast one with one of runs."""
    rng = np.random.default_rng([12, seed])
    workload, order = with_prefixes(rng, random_workload(rng, most)), str(rng.choice(sorted(QUEUES)))
    preempt = bool(QUEUES[order]().ranked and rng.random() < 0.5)
    prefill = "whole" if rng.random() < 0.3 else "chunked"
    if prefill == "whole":
        workload = with_budget_for_all(workload)
    admission = (
        "continuous" if preempt else str(rng.choice(["continuous", "continuous", "dynamic", "static"]))
    )
    pools = (LoggingNaivePool, LoggingPrefixPool)
    return assert_kernels_agree(
        workload,
        order,
        preempt=preempt,
        prefill=prefill,
        admission=admission,
        max_delay_ps=10**7,
        pools=pools,
    )


def test_the_random_workloads_hold_what_could_make_caches_differ() -> None:
    courses = [assert_caches_agree(seed) for seed in range(40)]
    sequences = [s for course in courses for s in course.sequences.values()]
    assert sum(s.cached_tokens for s in sequences) > 100_000
    assert sum(s.cached_tokens > 0 for s in sequences) > 400
    assert sum(course.counters[1] for course in courses) > 80, "preemptions"
    assert sum(tokens > 0 for course in courses for *_, tokens in course.cached) > 200


@pytest.mark.soak
@pytest.mark.timeout(0)  # its length is what it is for
def test_both_kernels_agree_on_thousands_of_random_caches() -> None:
    for seed in range(SOAK_WORKLOADS):
        assert_caches_agree(seed, most=80)


def test_an_order_changes_who_is_served() -> None:
    workload = random_workload(np.random.default_rng(11))
    ended = [tuple(assert_kernels_agree(workload, order).ended) for order in QUEUES]
    assert len(set(ended)) == len(QUEUES)


@pytest.mark.soak
@pytest.mark.timeout(0)  # its length is what it is for
@pytest.mark.parametrize("order", QUEUES)
def test_both_kernels_agree_on_thousands_of_random_workloads(order: str) -> None:
    for seed in range(SOAK_WORKLOADS):
        assert_kernels_agree(random_workload(np.random.default_rng([80, seed])), order)


def test_the_urgent_who_came_when_blocks_ran_out_pushes_out_one_step_later() -> None:
    # A step takes 10 and 6 tokens. Number 1 decodes from 30 on, and number 2 is prefilled beside it, 5 tokens
    # a step, until the blocks run out at 70: number 1, the least urgent, gives up its own. Number 3 came at
    # 65 and cannot enter that step. Number 2 could fill three steps with chunks, but has to leave at 80.
    arrivals = [
        (0, Arrive(1, 14, 20, priority=100)),
        (25, Arrive(2, 40, 1)),
        (65, Arrive(3, 3, 1, priority=-1)),
    ]
    events = [Event(at_ps, arrival) for at_ps, arrival in arrivals]
    workload = Workload(BatchLimits(4, 6, 1, 42), AffineStepTime(dense_ps=(10,)), events)
    course = assert_kernels_agree(workload, "priority", preempt=True)
    assert [(s.number, s.preemptions) for s in course.sequences.values()] == [(1, 1), (2, 1), (3, 0)]
    assert course.sequences[3].started_ps == 80


def test_the_urgent_counts_what_all_who_stay_will_take() -> None:
    # At 100 number 1 has a token and takes a block a step, number 2 lacks 6 of its 15 prompt tokens, and
    # 10 blocks are held: of 19 two would be left for number 3, which needs three.
    arrivals = [
        (0, Arrive(1, 1, 3, priority=5)),
        (0, Arrive(2, 15, 4, priority=5)),
        (50, Arrive(3, 3, 1, priority=0)),
    ]
    for blocks, pushed_out in (19, 1), (20, 0):
        events = [Event(at_ps, arrival) for at_ps, arrival in arrivals]
        workload = Workload(BatchLimits(4, 10, 1, blocks), AffineStepTime(dense_ps=(100,)), events)
        course = assert_kernels_agree(workload, "priority", preempt=True)
        assert course.sequences[3].started_ps == 100
        assert course.sequences[2].preemptions == pushed_out


TEN_PS = AffineStepTime(dense_ps=(10,))
"""Any step."""


def preemptions(blocks: int, *actions: tuple[int, Action], preempt: bool = False) -> list[Preemption]:
    """Of blocks of one token, and steps of 10 ps that take all who come."""
    workload = Workload(BatchLimits(4, 40, 1, blocks), TEN_PS, [Event(at_ps, one) for at_ps, one in actions])
    return assert_kernels_agree(workload, "priority" if preempt else "fcfs", preempt=preempt).preemptions


BOTH = (0, Arrive(1, 2, 3)), (0, Arrive(2, 2, 3))
"""Each holds 2 tokens at 10, and a block more with every step."""


def test_who_is_preempted_gives_way_to_the_first_who_finds_no_block() -> None:
    # At 20 both hold 3 of the 6 blocks, and number 1 needs one. It has its third and last token at 30.
    assert preemptions(6, *BOTH) == [Preemption(2, 1, False, 20, 30, 3, 0)]


def test_who_finds_no_block_for_itself_may_be_the_one_to_give_way() -> None:
    # At 10 number 1 takes the fifth block; at 20 there is one for it and none for a prompt of 3.
    assert preemptions(5, *BOTH) == [Preemption(2, 2, False, 10, 30, 2, 0)]


def test_who_is_cancelled_while_away_never_came_back() -> None:
    assert preemptions(6, *BOTH, (25, Cancel(2))) == [Preemption(2, 1, False, 20, -1, 3, 0)]


def test_a_drain_ends_the_time_away_and_what_comes_later_is_no_return() -> None:
    found = preemptions(6, *BOTH, (25, Drain(comes_back=True)))
    assert found == [Preemption(2, 1, False, 20, -1, 3, 0)]


def test_who_is_pushed_out_gives_way_to_the_urgent_one_who_waited() -> None:
    # Number 2 comes at 5 with a prompt of 4. At 10 number 1 holds 3 of 8 blocks, takes a fourth for the
    # step, and would leave 4: they suffice. Of 7 blocks they do not.
    slow, urgent = Arrive(1, 3, 4, priority=5), Arrive(2, 4, 1, priority=0)
    assert preemptions(8, (0, slow), (5, urgent), preempt=True) == []
    # It is back at 20, when number 2 has left, and computes 3 + 1 tokens.
    assert preemptions(7, (0, slow), (5, urgent), preempt=True) == [Preemption(1, 2, True, 10, 20, 3, 0)]


def test_what_the_prefix_cache_kept_is_not_computed_again() -> None:
    # As above, but prompts have names and their blocks are free, not lost, when they are let go of: number 1
    # takes one of them at 20 for its step, so that the others are found at 30.
    arrivals = [(0, replace(one, prefix=((f"{one.number}", one.prompt_tokens),))) for _, one in BOTH]
    workload = Workload(BatchLimits(4, 40, 1, 6), TEN_PS, [Event(at_ps, one) for at_ps, one in arrivals])
    course = assert_kernels_agree(workload, pools=(LoggingNaivePool, LoggingPrefixPool))
    assert course.preemptions == [Preemption(2, 1, False, 20, 30, 3, 2)]
