from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodels.step_time import AffineStepTime, slowed

prices = st.sampled_from([0, 0, 1, 3])


def test_what_costs_nothing_takes_a_picosecond() -> None:
    law = AffineStepTime(dense_ps=(0,))
    assert law.step_ps((), 3, 100) == 1
    assert law.step_ps([(5, 0), (7, 2)], 3, 100) == 1


def test_a_picosecond_is_not_added_to_what_costs_something() -> None:
    law = AffineStepTime(dense_ps=(0,), token_ps=10, decode_ps=50)
    assert law.step_ps([(5, 0)], 0, 0) == 50
    assert law.step_ps((), 1, 100) == 50


def test_prompts_cost_their_least_time_once_a_step() -> None:
    law = AffineStepTime(dense_ps=(100,), token_ps=1, chunk_ps=10, decode_ps=20, prompts_ps=1000)
    assert law.step_ps((), 2, 0) == 100 + 2 * 20
    assert law.step_ps([(5, 0), (7, 0)], 2, 0) == 100 + 12 + 2 * 10 + 2 * 20 + 1000
    assert slowed(law, 2.0).step_ps([(5, 0)], 0, 0) == 2 * (100 + 5 + 10 + 1000)


@pytest.mark.parametrize(
    "coefficient", ["token_ps", "pair_ps", "chunk_ps", "decode_ps", "kv_ps", "mixed_kv_ps", "prompts_ps"]
)
def test_nothing_may_cost_less_than_nothing(coefficient: str) -> None:
    with pytest.raises(AssertionError, match="negative"):
        AffineStepTime(dense_ps=(100,), shared_ps=(), **{coefficient: -1})


laws = st.builds(
    AffineStepTime,
    dense_ps=st.sampled_from([(0,), (1,)]),
    token_ps=prices,
    pair_ps=prices,
    chunk_ps=prices,
    decode_ps=prices,
    kv_ps=prices,
    mixed_kv_ps=prices,
    prompts_ps=prices,
    prefill_tile_tokens=st.sampled_from([0, 4]),
)


@given(
    law=laws,
    new=st.integers(0, 5),
    past=st.integers(0, 5),
    decodes=st.integers(0, 4),
    more=st.integers(0, 5),
)
def test_steps_of_an_unchanged_batch_are_an_arithmetic_progression_however_little_they_cost(
    law: AffineStepTime, new: int, past: int, decodes: int, more: int
) -> None:
    if not (new or decodes):
        return
    kv_tokens = decodes * (1 + more)  # who decodes has a token in the cache at least
    steps = [
        law.step_ps([(new, past + new * step)] if new else [], decodes, kv_tokens + decodes * step)
        for step in range(4)
    ]
    assert min(steps) >= 1
    assert len({b - a for a, b in pairwise(steps)}) == 1


@given(
    law=st.builds(replace, laws, dense_ps=st.lists(st.integers(0, 9), min_size=1, max_size=20).map(tuple)),
    number=st.integers(0, 6),
    chunk=st.tuples(st.integers(1, 6), st.integers(0, 6)),
    decodes=st.integers(0, 4),
    kv_tokens=st.integers(0, 9),
)
def test_chunks_that_are_alike_take_what_they_take_one_by_one(
    law: AffineStepTime, number: int, chunk: tuple[int, int], decodes: int, kv_tokens: int
) -> None:
    found = law.alike_ps(number, chunk, decodes, kv_tokens)
    assert found == law.step_ps([chunk] * number, decodes, kv_tokens)
