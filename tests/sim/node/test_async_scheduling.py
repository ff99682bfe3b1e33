"""Steps that are formed ahead, by hand and against a plain form of the same. Equality has its own tests."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodels.step_time import AffineStepTime
from sim.node.kernel import BatchLimits, Boundary, NodeKernel, Sequence
from sim.node.prefills import ASYNCHRONOUS
from tests.support.kernel_driver import Arrive, Driver, Event
from tests.support.two_steps_in_flight import Asked, serve

# A step lasts 100 ps, and 1 per prompt token, and 10 per decoding sequence.
LAW = AffineStepTime(dense_ps=(100,), token_ps=1, decode_ps=10)
FLAT = AffineStepTime(dense_ps=(100,))
MakeKernel = Callable[..., NodeKernel]


@pytest.fixture(params=sorted(ASYNCHRONOUS))
def make_kernel(request: pytest.FixtureRequest) -> MakeKernel:
    kind = ASYNCHRONOUS[request.param]

    def make(law: AffineStepTime = LAW, launch_ps: int = 0, slots: int = 8, blocks: int = 1000) -> NodeKernel:
        return kind(BatchLimits(slots, 1000, 1, blocks), law, keep_schedule=True, launch_ps=launch_ps)

    return make


def run(kernel: NodeKernel, next_ps: int | None, before_ps: int | None = None) -> int | None:
    """Takes the boundaries that come before `before_ps`, or all; answers the next."""
    while next_ps is not None and (before_ps is None or next_ps < before_ps):
        next_ps = kernel.boundary(next_ps).next_ps
    return next_ps


def stamps(sequence: Sequence) -> tuple[int, int, int]:
    return sequence.started_ps, sequence.first_ps, sequence.last_ps


def stopping(number: int, prompt_tokens: int, output_tokens: int) -> Sequence:
    sequence = Sequence(number, prompt_tokens, output_tokens)
    sequence.stops = True
    return sequence


def test_an_idle_engine_takes_a_request_at_once_and_pays_the_launch_of_its_first_step(
    make_kernel: MakeKernel,
) -> None:
    kernel = make_kernel(launch_ps=7)
    lone = Sequence(0, 30, 3)
    assert kernel.add(1000, lone) == 1000
    assert kernel.boundary(1000) == Boundary(1137, [], [])
    run(kernel, 1137)
    assert stamps(lone) == (1007, 1137, 1357)
    assert kernel.busy_ps == 350  # the launch is none of it


def test_who_comes_in_one_step_joins_the_one_behind_the_next(make_kernel: MakeKernel) -> None:
    # Steps of the first end at 110, 220, 330; at 150 that which ends at 330 has been formed.
    kernel = make_kernel(launch_ps=7)
    first, second = Sequence(0, 10, 9), Sequence(1, 10, 1)
    run(kernel, kernel.add(0, first), before_ps=150)
    run(kernel, kernel.add(150, second))
    assert stamps(second) == (337, 457, 457)  # 7 for the launch of the first step; 120 for its own


def test_who_comes_while_the_first_step_is_launched_is_too_late_for_the_second(
    make_kernel: MakeKernel,
) -> None:
    kernel = make_kernel(FLAT, launch_ps=50)
    run(kernel, kernel.add(0, Sequence(0, 10, 9)), before_ps=20)
    late = Sequence(1, 10, 1)
    run(kernel, kernel.add(20, late))
    assert late.started_ps == 250


def test_who_comes_when_no_further_step_was_formed_starts_with_the_end_of_this_one(
    make_kernel: MakeKernel,
) -> None:
    kernel = make_kernel(FLAT, launch_ps=7)
    run(kernel, kernel.add(0, Sequence(0, 10, 1)), before_ps=60)
    second = Sequence(1, 10, 1)
    run(kernel, kernel.add(60, second))
    assert stamps(second) == (114, 214, 214)


@pytest.mark.parametrize(("kind", "start_ps"), [(Sequence, 350), (stopping, 360)])
def test_a_slot_serves_the_step_behind_the_next_and_an_end_that_nobody_knew_costs_a_row(
    make_kernel: MakeKernel, kind: Callable[[int, int, int], Sequence], start_ps: int
) -> None:
    # Two prompts of 10 until 120, both decode until 240. Of the next step the first is a part only if it
    # ended with a token that says so: 110 or 120. Its slot then goes to the third.
    kernel = make_kernel(slots=2)
    ends, stays, waits = kind(0, 10, 2), Sequence(1, 10, 9), Sequence(2, 10, 1)
    for sequence in (ends, stays, waits):
        kernel.add(0, sequence)
    run(kernel, 0, before_ps=300)
    assert (ends.last_ps, ends.generated, kernel.output_tokens_done) == (240, 2, 4)
    run(kernel, start_ps)
    assert waits.started_ps == start_ps
    rows = 2 if kind is stopping else 1
    assert kernel.sequence_ps == 2 * (120 + 120) + rows * (start_ps - 240) + 2 * 120 + 5 * 110


def test_blocks_that_come_free_serve_the_step_behind_the_next(make_kernel: MakeKernel) -> None:
    # At 200 the first has its last token and 11 blocks, the second takes its fourth, and the third needs 10.
    kernel = make_kernel(FLAT, blocks=21)
    first, second, third = Sequence(0, 10, 2), Sequence(1, 2, 9), Sequence(2, 10, 1)
    for sequence in (first, second, third):
        kernel.add(0, sequence)
    run(kernel, 0, before_ps=250)
    assert kernel.free_blocks == 21 - 4
    run(kernel, 300)
    assert (first.last_ps, third.started_ps) == (200, 300)
    assert kernel.free_blocks == 21


def test_who_hangs_up_leaves_with_this_step_and_computes_for_nothing_in_the_next(
    make_kernel: MakeKernel,
) -> None:
    kernel = make_kernel()
    leaves, stays = Sequence(0, 10, 9), Sequence(1, 10, 9)
    kernel.add(0, leaves)
    run(kernel, kernel.add(0, stays), before_ps=150)  # steps end at 120, 240
    assert kernel.remove(150, leaves) == 240
    boundary = kernel.boundary(240)
    assert (boundary.ended, boundary.next_ps, leaves.generated) == ([leaves], 360, 2)
    assert kernel.free_blocks == 1000 - 12
    run(kernel, 360)
    assert stays.last_ps == 360 + 6 * 110
    assert kernel.output_tokens_done == 2 + 9


def test_a_chunk_of_who_hangs_up_is_computed_all_the_same(make_kernel: MakeKernel) -> None:
    kernel = make_kernel()
    stays, leaves = Sequence(0, 10, 9), Sequence(1, 50, 9)
    run(kernel, kernel.add(0, stays), before_ps=50)
    run(kernel, kernel.add(50, leaves), before_ps=220)  # it joins then
    assert kernel.remove(220, leaves) == 220
    assert kernel.boundary(220) == Boundary(380, [], [leaves])
    assert stamps(leaves) == (220, -1, 220)
    assert kernel.boundary(380).next_ps is not None
    assert kernel.prompt_tokens_done == 10


def test_a_new_law_holds_from_the_next_step_on_though_that_was_formed_before(make_kernel: MakeKernel) -> None:
    kernel = make_kernel()
    sequence = Sequence(0, 10, 3)
    run(kernel, kernel.add(0, sequence), before_ps=150)
    assert kernel.change_law(150, AffineStepTime(dense_ps=(1000,))) == 220
    run(kernel, 220)
    assert sequence.last_ps == 1220


asks = st.tuples(st.integers(0, 900), st.integers(1, 12), st.integers(1, 8), st.booleans())


@settings(max_examples=60, deadline=None)
@given(
    st.lists(asks, min_size=1, max_size=8),
    st.integers(1, 4),
    st.integers(1, 20),
    st.sampled_from([0, 30]),
)
def test_a_step_formed_by_what_was_known_before_is_one_that_was_formed_before(
    asked: list[tuple[int, int, int, bool]], slots: int, budget: int, launch_ps: int
) -> None:
    law = AffineStepTime(dense_ps=(50,), token_ps=3, decode_ps=5, kv_ps=1, pair_ps=1)
    plain = [Asked(*one) for one in sorted(asked)]
    serve(plain, law, slots, budget, launch_ps)
    events = [
        Event(one.at_ps, Arrive(number, one.prompt_tokens, one.output_tokens, stops=one.stops))
        for number, one in enumerate(plain)
    ]
    kernel = ASYNCHRONOUS["fast"](BatchLimits(slots, budget), law, keep_schedule=True, launch_ps=launch_ps)
    course = Driver(kernel, events).run()
    assert [stamps(course.sequences[number]) for number in range(len(plain))] == [
        (one.started_ps, one.first_ps, one.last_ps) for one in plain
    ]


def test_who_comes_costs_a_stretch_of_steps_as_many_boundaries_as_without() -> None:
    kernel = ASYNCHRONOUS["fast"](BatchLimits(8, 1000), FLAT)
    next_ps = kernel.add(0, Sequence(0, 10, 500))
    kernel.boundary(0)
    next_ps = kernel.boundary(100).next_ps
    assert next_ps == 50_000
    assert kernel.add(250, Sequence(1, 10, 1)) == 400  # the end of the step behind that of 300
    boundaries = []
    next_ps = 400
    while next_ps is not None:
        boundaries.append(next_ps)
        next_ps = kernel.boundary(next_ps).next_ps
    assert boundaries == [400, 500, 50_000]
