"""Timelines worked by hand. Both kernels must follow them; the engine's own laws come last."""

from typing import TYPE_CHECKING, Protocol

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodels.step_time import AffineStepTime, Chunk
from sim.node.fast_forward import FastForward
from sim.node.kernel import BatchLimits, Boundary, NodeKernel, Sequence, SharedPrompt
from sim.node.step_engine import StepEngine
from tests.support.kernel_driver import Driver
from tests.support.kernel_workload import random_workload

if TYPE_CHECKING:
    from collections.abc import Callable

# A step lasts 100 ps, and 1 per prompt token, and 10 per decoding sequence.
LAW = AffineStepTime(dense_ps=(100,), token_ps=1, decode_ps=10)
FLAT = AffineStepTime(dense_ps=(100,))


class MakeKernel(Protocol):
    def __call__(
        self,
        law: AffineStepTime = LAW,
        slots: int = 8,
        budget: int = 1000,
        block_size: int = 16,
        blocks: int = 1000,
    ) -> NodeKernel: ...


@pytest.fixture(params=[StepEngine, FastForward])
def make_kernel(request: pytest.FixtureRequest) -> MakeKernel:
    kind: Callable[..., NodeKernel] = request.param

    def make(
        law: AffineStepTime = LAW,
        slots: int = 8,
        budget: int = 1000,
        block_size: int = 16,
        blocks: int = 1000,
    ) -> NodeKernel:
        return kind(BatchLimits(slots, budget, block_size, blocks), law, keep_schedule=True)

    return make


def run(kernel: NodeKernel, next_ps: int | None, before_ps: int | None = None) -> int | None:
    """Takes the boundaries that come before `before_ps`, or all; answers the next."""
    while next_ps is not None and (before_ps is None or next_ps < before_ps):
        next_ps = kernel.boundary(next_ps).next_ps
    return next_ps


def stamps(sequence: Sequence) -> tuple[int, int, int]:
    return sequence.started_ps, sequence.first_ps, sequence.last_ps


def test_a_lone_request_pays_one_step_for_its_prompt_and_one_for_each_further_token(
    make_kernel: MakeKernel,
) -> None:
    kernel = make_kernel()
    lone = Sequence(0, prompt_tokens=30, output_tokens=3)
    assert kernel.add(1000, lone) == 1000
    start = kernel.boundary(1000)
    assert start == Boundary(1130, [], [])
    first = kernel.boundary(1130)
    assert first.firsts == [lone]
    assert first.ended == []
    assert lone.generated == 1
    assert run(kernel, first.next_ps) is None
    assert stamps(lone) == (1000, 1130, 1350)
    assert lone.generated == 3
    assert (kernel.steps, kernel.busy_ps, kernel.sequence_ps) == (3, 350, 350)
    assert (kernel.prompt_tokens_done, kernel.output_tokens_done, kernel.preemptions) == (30, 3, 0)
    assert [kernel.tokens_by(lone, at) for at in (0, 1129, 1130, 1239, 1240, 1349, 1350, 9999)] == [
        *(0, 0, 1, 1, 2, 2, 3, 3)
    ]


def test_a_prompt_above_the_budget_is_computed_in_two_steps(make_kernel: MakeKernel) -> None:
    kernel = make_kernel(budget=20)
    long = Sequence(0, 30, 1)
    run(kernel, kernel.add(0, long))  # 20 tokens in 120 ps, 10 in 110
    assert stamps(long) == (0, 230, 230)


def test_decoding_comes_first_and_the_prompt_gets_what_it_leaves_of_the_budget(
    make_kernel: MakeKernel,
) -> None:
    kernel = make_kernel(budget=20)
    decoding, prompt = Sequence(0, 5, 10), Sequence(1, 30, 1)
    next_ps = run(kernel, kernel.add(0, decoding), before_ps=50)
    assert next_ps == 105
    kernel.add(50, prompt)
    run(kernel, next_ps)
    # at 105: 19 of the prompt and one decode, 129 ps; at 234: the other 11 and one decode, 121 ps
    assert stamps(prompt) == (105, 355, 355)
    assert kernel.tokens_by(decoding, 355) == 3


def test_two_requests_share_their_steps(make_kernel: MakeKernel) -> None:
    kernel = make_kernel()
    three, two = Sequence(0, 10, 3), Sequence(1, 20, 2)
    kernel.add(0, three)
    run(kernel, kernel.add(0, two))
    assert stamps(three) == (0, 130, 360)
    assert stamps(two) == (0, 130, 250)
    assert kernel.sequence_ps == 2 * 130 + 2 * 120 + 110


def test_who_came_last_gives_its_blocks_to_the_first_and_computes_its_tokens_anew(
    make_kernel: MakeKernel,
) -> None:
    kernel = make_kernel(block_size=4, blocks=4)
    first, last = Sequence(0, 7, 6), Sequence(1, 7, 3)
    kernel.add(0, first)
    run(kernel, kernel.add(0, last))
    # 0: both prompts, 114 ps, all 4 blocks. 114: both decode, 120 ps. 234: `first` needs a third block, so
    # `last` goes with 2 tokens made; 4 steps of 110 ps for `first` alone. 674: 7 + 2 tokens anew, 109 ps.
    assert stamps(first) == (0, 114, 674)
    assert stamps(last) == (0, 114, 783)
    assert (last.preemptions, first.preemptions, kernel.preemptions) == (1, 0, 1)
    assert (kernel.steps, kernel.busy_ps) == (7, 783)
    assert (kernel.prompt_tokens_done, kernel.output_tokens_done) == (7 + 7 + 9, 9)
    assert [kernel.tokens_by(last, at) for at in (113, 114, 233, 234, 700, 782, 783)] == [0, 1, 1, 2, 2, 2, 3]


def test_a_partly_computed_prompt_that_lacks_blocks_starts_over(make_kernel: MakeKernel) -> None:
    kernel = make_kernel(law=FLAT, block_size=1, blocks=14, budget=5)
    decoding, prompt = Sequence(0, 4, 4), Sequence(1, 12, 1)
    kernel.add(0, decoding)
    run(kernel, kernel.add(0, prompt))
    # Of the prompt, the step at 0 takes 1 token and that at 100 takes 4. At 200 the two hold 5 + 5 blocks,
    # the decode takes one, and 4 more are not free: the prompt goes, and nobody comes in its place. From 300
    # on it takes 4 beside the last decode, then 5 and 3 alone.
    assert stamps(decoding) == (0, 100, 400)
    assert stamps(prompt) == (0, 600, 600)
    assert prompt.preemptions == 1


def test_completions_of_one_prompt_compute_it_once_and_hold_its_full_blocks_together(
    make_kernel: MakeKernel,
) -> None:
    kernel = make_kernel(block_size=4, blocks=10)
    prompt = SharedPrompt()
    long, short = Sequence(0, 11, 6, None, prompt), Sequence(0, 11, 2, None, prompt)
    kernel.add(0, long)
    next_ps = run(kernel, kernel.add(0, short), before_ps=1)
    # 11 tokens of the first; of the second 3, as two blocks of 4 are there: 114 ps, and 3 + 1 blocks.
    assert (next_ps, kernel.free_blocks) == (114, 6)
    next_ps = run(kernel, next_ps, before_ps=115)
    assert (next_ps, kernel.free_blocks) == (
        234,
        6,
    )  # both decode, the twelfth token is in the block of its own
    assert long.first_ps == short.first_ps == 114
    next_ps = run(kernel, next_ps, before_ps=235)
    assert short.last_ps == 234
    assert kernel.free_blocks == 6  # `short` gave one back, `long` took its fourth
    assert run(kernel, next_ps) is None
    assert (long.last_ps, kernel.free_blocks, kernel.prompt_tokens_done) == (674, 10, 14)


def test_a_completion_admitted_later_finds_the_prompt_of_those_before_it(make_kernel: MakeKernel) -> None:
    kernel = make_kernel(budget=6, block_size=4)
    prompt = SharedPrompt()
    first, second = Sequence(0, 9, 2, None, prompt), Sequence(0, 9, 1, None, prompt)
    kernel.add(0, first)
    run(kernel, kernel.add(0, second))
    # 6 tokens in 106 ps; 3 of the first and, after its two full blocks, the last one of the second in 104 ps;
    # one decode step.
    assert stamps(second) == (106, 210, 210)
    assert stamps(first) == (0, 210, 320)


def test_an_arrival_on_a_boundary_joins_the_step_that_starts_there(make_kernel: MakeKernel) -> None:
    kernel = make_kernel()
    early, late = Sequence(0, 10, 3), Sequence(1, 5, 1)
    next_ps = run(kernel, kernel.add(0, early), before_ps=220)
    assert next_ps is not None
    assert next_ps >= 220
    assert kernel.add(220, late) == 220
    assert kernel.waiting == 1
    run(kernel, 220)
    assert stamps(late) == (220, 335, 335)
    assert stamps(early) == (0, 110, 335)


def test_an_arrival_between_two_boundaries_waits_for_the_second(make_kernel: MakeKernel) -> None:
    kernel = make_kernel()
    early, late = Sequence(0, 10, 5), Sequence(1, 5, 1)
    next_ps = run(kernel, kernel.add(0, early), before_ps=221)
    assert next_ps is not None
    assert kernel.add(221, late) == 330
    run(kernel, 330)
    assert late.started_ps == 330


def test_a_reaction_to_a_boundary_joins_the_next_step(make_kernel: MakeKernel) -> None:
    kernel = make_kernel()
    stays, goes, reaction = Sequence(0, 10, 3), Sequence(1, 10, 2), Sequence(2, 5, 1)
    kernel.add(0, stays)
    next_ps = run(kernel, kernel.add(0, goes), before_ps=240)
    assert next_ps == 240
    after = kernel.boundary(240)
    assert after.ended == [goes]
    assert kernel.add(240, reaction) == after.next_ps == 350
    run(kernel, 350)
    assert stamps(reaction) == (350, 455, 455)


@pytest.mark.parametrize("what", ["add", "remove", "change_law"])
def test_what_comes_after_a_boundary_inside_a_stretch_waits_for_the_next(
    make_kernel: MakeKernel, what: str
) -> None:
    kernel = make_kernel()
    sequence, late = Sequence(0, 10, 9), Sequence(1, 5, 1)
    run(kernel, kernel.add(0, sequence), before_ps=221)  # steps end at 110, 220, 330
    match what:
        case "add":
            next_ps = kernel.add(220, late, after_boundary=True)
        case "remove":
            next_ps = kernel.remove(220, sequence, after_boundary=True)
        case _:
            next_ps = kernel.change_law(220, FLAT, after_boundary=True)
    assert next_ps == 330
    run(kernel, 330)
    if what == "add":
        assert stamps(late) == (330, 445, 445)
    else:
        assert sequence.last_ps == (330 if what == "remove" else 330 + 6 * 100)


def test_a_reaction_that_finds_the_kernel_idle_starts_at_once(make_kernel: MakeKernel) -> None:
    kernel = make_kernel()
    goes, reaction = Sequence(0, 10, 1), Sequence(1, 5, 1)
    next_ps = run(kernel, kernel.add(0, goes), before_ps=110)
    assert next_ps == 110
    assert kernel.boundary(110) == Boundary(None, [goes], [goes])
    assert kernel.add(110, reaction) == 110
    run(kernel, 110)
    assert stamps(reaction) == (110, 215, 215)


def test_additions_of_one_instant_enter_by_number(make_kernel: MakeKernel) -> None:
    kernel = make_kernel(slots=1)
    seven, three, five = Sequence(7, 10, 1), Sequence(3, 10, 1), Sequence(5, 10, 1)
    for sequence in (seven, three, five):
        kernel.add(0, sequence)
    run(kernel, 0)
    assert [s.started_ps for s in (three, five, seven)] == [0, 110, 220]


def test_a_boundary_reports_by_number(make_kernel: MakeKernel) -> None:
    kernel = make_kernel()
    seven, three = Sequence(7, 10, 1), Sequence(3, 10, 1)
    kernel.add(0, seven)
    run(kernel, kernel.add(0, three), before_ps=120)
    assert kernel.boundary(120) == Boundary(None, [three, seven], [three, seven])


def test_a_last_token_beats_a_cancel_at_the_same_instant(make_kernel: MakeKernel) -> None:
    kernel = make_kernel()
    sequence = Sequence(0, 10, 2)
    run(kernel, kernel.add(0, sequence), before_ps=220)
    assert kernel.remove(220, sequence) == 220
    assert kernel.boundary(220) == Boundary(None, [], [sequence])
    assert sequence.generated == 2
    assert sequence.last_ps == 220


@pytest.mark.parametrize("cancelled_at_ps", [111, 150, 220])
def test_a_cancel_takes_effect_at_the_end_of_the_step(make_kernel: MakeKernel, cancelled_at_ps: int) -> None:
    kernel = make_kernel()
    sequence, next_one = Sequence(0, 10, 9), Sequence(1, 10, 1)
    run(kernel, kernel.add(0, sequence), before_ps=cancelled_at_ps)
    assert kernel.remove(cancelled_at_ps, sequence) == 220
    kernel.add(cancelled_at_ps, next_one)
    boundary = kernel.boundary(220)
    assert boundary == Boundary(
        330,
        [],
        [sequence],
    )  # the other's prompt alone: the cancelled one is out of this step
    assert sequence.generated == 2
    assert sequence.last_ps == 220
    run(kernel, 330)
    assert kernel.free_blocks == 1000


def test_a_cancel_frees_the_slot_for_the_step_that_starts_then(make_kernel: MakeKernel) -> None:
    kernel = make_kernel(slots=1)
    runs, waits, gives_up = Sequence(0, 10, 9), Sequence(1, 10, 1), Sequence(2, 10, 1)
    for sequence in (runs, gives_up, waits):
        kernel.add(0, sequence)
    run(kernel, 0, before_ps=150)
    assert (kernel.waiting, kernel.running) == (2, 1)
    kernel.remove(150, runs)
    kernel.remove(150, gives_up)
    boundary = kernel.boundary(220)
    assert boundary.ended == [runs, gives_up]
    assert gives_up.started_ps == -1
    assert gives_up.last_ps == 220
    assert (kernel.waiting, kernel.running) == (0, 1)
    assert waits.started_ps == 220


def test_a_cancel_before_its_own_arrival_was_taken_in_works_as_well(make_kernel: MakeKernel) -> None:
    kernel = make_kernel()
    sequence = Sequence(0, 10, 9)
    assert kernel.add(5, sequence) == 5
    assert kernel.remove(5, sequence) == 5
    assert kernel.boundary(5) == Boundary(None, [], [sequence])
    assert stamps(sequence) == (-1, -1, 5)
    assert kernel.busy_ps == 0


@pytest.mark.parametrize(
    ("drained_at_ps", "tokens"), [(0, 0), (109, 0), (110, 1), (219, 1), (220, 2), (300, 2)]
)
def test_a_drain_keeps_the_tokens_of_ended_steps_and_loses_the_step_in_progress(
    make_kernel: MakeKernel, drained_at_ps: int, tokens: int
) -> None:
    kernel = make_kernel(slots=1)
    runs, waits = Sequence(4, 10, 5), Sequence(2, 10, 5)
    next_ps = run(kernel, kernel.add(0, runs), before_ps=drained_at_ps)
    assert next_ps is not None
    kernel.add(min(drained_at_ps, 5), waits)
    drained = kernel.drain(drained_at_ps)
    assert drained.next_ps is None
    assert drained.ended == [waits, runs]
    assert drained.firsts == ([runs] if drained_at_ps == 110 else [])
    assert runs.generated == tokens
    assert waits.generated == 0
    assert kernel.tokens_by(runs, 10_000) == tokens
    assert kernel.steps == tokens
    assert (kernel.waiting, kernel.running, kernel.free_blocks) == (0, 0, 1000)
    assert kernel.add(drained_at_ps, Sequence(9, 10, 1)) == drained_at_ps


def test_a_drain_on_the_last_token_hands_back_a_complete_sequence(make_kernel: MakeKernel) -> None:
    kernel = make_kernel()
    sequence = Sequence(0, 10, 1)
    run(kernel, kernel.add(0, sequence), before_ps=110)
    assert kernel.drain(110) == Boundary(None, [sequence], [sequence])
    assert sequence.generated == sequence.output_tokens
    assert stamps(sequence) == (0, 110, 110)


def test_a_drain_in_the_middle_of_a_long_prompt_gives_all_its_blocks_back(make_kernel: MakeKernel) -> None:
    kernel = make_kernel(law=FLAT, budget=10)
    run(kernel, kernel.add(0, Sequence(0, 100, 1)), before_ps=350)
    kernel.drain(350)
    assert kernel.prompt_tokens_done == 30
    assert kernel.free_blocks == 1000


@pytest.mark.parametrize("budget", [1, 2, 3, 10])
def test_the_smaller_of_slots_and_token_budget_bounds_the_batch(make_kernel: MakeKernel, budget: int) -> None:
    kernel = make_kernel(law=FLAT, slots=3, budget=budget)
    sequences = [Sequence(number, 1, 2) for number in range(4)]
    for sequence in sequences:
        kernel.add(0, sequence)
    run(kernel, 0)
    assert [s.last_ps for s in sequences] == {
        1: [200, 400, 600, 800],
        2: [200, 200, 400, 400],
        3: [200, 200, 200, 400],
        10: [200, 200, 200, 400],
    }[budget]


def test_an_arrival_between_full_budget_steps_waits_for_a_token_to_be_left(make_kernel: MakeKernel) -> None:
    kernel = make_kernel(law=FLAT, slots=8, budget=2)
    sequences = [Sequence(number, 1, 5) for number in range(3)]
    kernel.add(0, sequences[0])
    run(kernel, kernel.add(0, sequences[1]), before_ps=150)
    run(kernel, kernel.add(150, sequences[2]))
    assert sequences[2].started_ps == 500


def test_a_new_law_holds_from_the_next_step_on(make_kernel: MakeKernel) -> None:
    kernel = make_kernel()
    sequence = Sequence(0, 10, 3)
    run(kernel, kernel.add(0, sequence), before_ps=150)
    assert kernel.change_law(150, AffineStepTime(dense_ps=(1000,))) == 220
    run(kernel, 220)
    assert sequence.last_ps == 1220


def test_a_law_changed_on_a_boundary_holds_for_the_step_that_starts_there(make_kernel: MakeKernel) -> None:
    kernel = make_kernel()
    sequence = Sequence(0, 10, 4)
    run(kernel, kernel.add(0, sequence), before_ps=220)
    assert kernel.change_law(220, FLAT) == 220
    run(kernel, 220)
    assert sequence.last_ps == 420


def test_work_begun_elsewhere_computes_what_the_cache_lacks_and_has_no_first_token_here(
    make_kernel: MakeKernel,
) -> None:
    kernel = make_kernel(block_size=4)
    sequence = Sequence(0, 10, 5)
    kernel.add(0, sequence, computed=4, generated=2)
    assert kernel.boundary(0).next_ps == 108
    assert kernel.free_blocks == 997  # 12 tokens
    assert [kernel.tokens_by(sequence, at) for at in (0, 107, 108)] == [2, 2, 3]
    boundary = kernel.boundary(108)
    assert boundary.firsts == []
    run(kernel, boundary.next_ps)
    assert stamps(sequence) == (0, -1, 328)
    assert kernel.output_tokens_done == 3


def handing_over(number: int, prompt_tokens: int) -> Sequence:
    sequence = Sequence(number, prompt_tokens, 50)
    sequence.hands_over = True
    return sequence


def test_who_hands_over_is_out_with_its_first_token_and_keeps_its_blocks_until_released(
    make_kernel: MakeKernel,
) -> None:
    kernel = make_kernel(FLAT, block_size=1, blocks=100)
    moves, stays = handing_over(0, 10), Sequence(1, 20, 5)
    kernel.add(0, moves)
    kernel.add(0, stays)
    kernel.boundary(0)
    boundary = kernel.boundary(100)
    assert (boundary.firsts, boundary.ended) == ([moves, stays], [moves])
    assert (moves.generated, moves.last_ps, kernel.running) == (1, 100, 1)
    assert kernel.free_blocks == 100 - 10 - 21  # the other's step in progress is counted
    run(kernel, boundary.next_ps, before_ps=250)
    assert kernel.release(250, moves) == 300  # at the end of the step
    boundary = kernel.boundary(300)
    assert boundary.ended == []
    assert kernel.free_blocks == 100 - 23
    run(kernel, boundary.next_ps)
    assert (stays.last_ps, kernel.free_blocks) == (500, 100)


def test_blocks_come_back_at_once_where_nobody_runs(make_kernel: MakeKernel) -> None:
    kernel = make_kernel(FLAT, block_size=1, blocks=60)
    moves, waits = handing_over(0, 10), handing_over(1, 10)
    run(kernel, kernel.add(0, moves))
    run(kernel, kernel.add(130, waits))  # both fit
    assert (waits.last_ps, kernel.free_blocks) == (230, 40)
    assert kernel.release(300, moves) == 300
    assert kernel.boundary(300) == Boundary(None, [], [])
    assert kernel.free_blocks == 50
    assert kernel.release(400, waits) == 400
    run(kernel, 400)
    assert kernel.free_blocks == 60


def test_a_first_token_that_is_handed_over_beats_a_cancel_at_the_same_instant(
    make_kernel: MakeKernel,
) -> None:
    kernel = make_kernel(FLAT, block_size=1, blocks=60)
    moves = handing_over(0, 10)
    kernel.boundary(kernel.add(0, moves) or 0)
    assert kernel.remove(100, moves) == 100
    assert kernel.boundary(100) == Boundary(None, [moves], [moves])
    assert moves.generated == 1
    kernel.release(100, moves, after_boundary=True)
    run(kernel, 100)
    assert kernel.free_blocks == 60


def test_output_tokens_are_counted_in_the_middle_of_a_stretch_too(make_kernel: MakeKernel) -> None:
    kernel = make_kernel(FLAT)
    for number in range(2):
        kernel.add(0, Sequence(number, 10, 6))
    next_ps = run(kernel, 0, before_ps=101)
    assert kernel.output_tokens_by(100) == 2  # a token each from their prompts
    for at_ps, tokens in [(199, 2), (201, 4), (350, 6), (499, 8)]:
        next_ps = run(kernel, next_ps, before_ps=at_ps)
        assert kernel.output_tokens_by(at_ps) == tokens
    run(kernel, next_ps)
    assert kernel.output_tokens_by(900) == 12


def test_a_token_of_this_instant_counts_once_its_boundary_is_over() -> None:
    kernel = FastForward(BatchLimits(8, 1000), FLAT)
    kernel.add(0, Sequence(0, 10, 6))
    run(kernel, 0, before_ps=101)
    assert kernel.output_tokens_by(200) == 1
    assert kernel.output_tokens_by(200, after_boundary=True) == 2
    # the last step of the stretch ends with a boundary call
    assert kernel.output_tokens_by(600) == 5


def test_the_past_before_a_forgotten_time_does_not_change_later_answers(make_kernel: MakeKernel) -> None:
    kernel = make_kernel()
    sequences = [Sequence(0, 10, 3), Sequence(1, 10, 2), Sequence(2, 10, 9)]
    run(kernel, kernel.add(0, sequences[0]))  # tokens at 110, 220, 330
    kernel.add(1000, sequences[1])
    next_ps = run(
        kernel, kernel.add(1000, sequences[2]), before_ps=1300
    )  # at 1120, 1240; then alone: 1350, ...
    assert next_ps is not None
    kernel.forget(1200)
    assert [kernel.tokens_by(s, 1200) for s in sequences] == [3, 1, 1]
    assert [kernel.tokens_by(s, 1350) for s in sequences] == [3, 2, 3]


def test_a_sequence_that_could_never_fit_the_pool_is_the_callers_bug(make_kernel: MakeKernel) -> None:
    kernel = make_kernel(block_size=4, blocks=4)
    kernel.add(0, Sequence(0, 8, 8))
    with pytest.raises(AssertionError):
        kernel.add(0, Sequence(1, 8, 9))


class SquareStepTime:
    """Not affine: the square of the tokens in the step."""

    def step_ps(self, chunks: list[Chunk] | tuple[Chunk, ...], decodes: int, kv_tokens: int) -> int:
        del kv_tokens
        return int((sum(new for new, _ in chunks) + decodes) ** 2)


def test_the_step_engine_takes_any_law() -> None:
    engine = StepEngine(BatchLimits(8, 1000), SquareStepTime())  # type: ignore[arg-type]
    one, two = Sequence(0, 10, 2), Sequence(1, 5, 2)
    engine.add(0, one)
    run(engine, engine.add(0, two))
    assert stamps(one) == (0, 225, 229)


def test_a_step_without_duration_takes_a_picosecond(make_kernel: MakeKernel) -> None:
    kernel = make_kernel(law=AffineStepTime(dense_ps=(0,)), budget=10)
    sequence = Sequence(0, 30, 5)
    run(kernel, kernel.add(7, sequence))
    assert stamps(sequence) == (7, 10, 14)


class NoTime:
    def step_ps(self, chunks: object, decodes: int, kv_tokens: int) -> int:
        del chunks, decodes, kv_tokens
        return 0


def test_a_law_of_another_kind_may_not_stop_the_time() -> None:
    engine = StepEngine(BatchLimits(8, 1000), NoTime())
    engine.add(0, Sequence(0, 1, 1))
    with pytest.raises(AssertionError):
        engine.boundary(0)


class WatchedEngine(StepEngine):
    """Checks its books at every boundary."""

    def _start_step(self, now_ps: int) -> int | None:
        next_ps = super()._start_step(now_ps)
        held = sum(self._limits.blocks(work.cached + new) for work, new in self._shares)
        for work in {work.sequence.shared_prompt: work for work in self._running}.values():
            prompt = work.sequence.shared_prompt
            if prompt is not None:  # its full blocks are one each, however many hold them
                holders = sum(other.sequence.shared_prompt is prompt for other in self._running)
                held -= (holders - 1) * ((work.sequence.prompt_tokens - 1) // self._limits.block_size)
        assert self.free_blocks + held == self._limits.kv_blocks
        assert {work for work, _ in self._shares} == set(self._running)
        assert len(self._running) <= min(self._limits.max_num_seqs, self._limits.max_num_batched_tokens)
        assert sum(new for _, new in self._shares) <= self._limits.max_num_batched_tokens
        partly = [work for work, new in self._shares if work.lacking > new]
        assert partly in ([], [self._running[-1]])
        return next_ps


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_every_sequence_ends_once_and_gives_back_what_it_held(seed: int) -> None:
    workload = random_workload(np.random.default_rng(seed), most=40)
    engine = WatchedEngine(workload.limits, workload.law, keep_schedule=True)
    course = Driver(engine, workload.events).run()
    assert (engine.waiting, engine.running, engine.free_blocks) == (0, 0, workload.limits.kv_blocks)
    complete = [number for _, number, generated, _ in course.ended if generated == course.outputs(number)]
    assert len(complete) == len(set(complete))
    assert {number for _, number, _, _ in course.ended} == set(course.sequences)
    assert len(course.firsts) == len({number for _, number in course.firsts})
    for sequence in course.sequences.values():
        in_order = [at_ps for at_ps in stamps(sequence) if at_ps >= 0]
        assert in_order == sorted(in_order)
        tokens = [
            engine.tokens_by(sequence, at_ps)
            for at_ps in range(0, sequence.last_ps + 1, 1 + sequence.last_ps // 9)
        ]
        assert tokens == sorted(tokens)
        assert engine.tokens_by(sequence, sequence.last_ps) == sequence.generated
