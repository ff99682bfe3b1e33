"""The smooth roofline: its integers, its limits, and the laws it must keep."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodels.dense import DenseTable, GemmTiles, SmoothRoofline
from hwmodels.gpu_step import GpuStep
from hwmodels.llm import Llm, load_llm

LLAMA = load_llm("llama3.1-8b")
GPT_OSS = load_llm("gpt-oss-20b")
ROOFLINE = SmoothRoofline(weights_ms=3, dense_share=1, token_ms=0.04, p_norm=2)
PLAIN = GpuStep(
    fixed_ms=1,
    dense=ROOFLINE,
    pair_ms=1e-6,
    kv_token_ms=1e-4,
    mixed_kv_multiplier=2,
    sequence_ms=0.01,
    prefill_tile_tokens=256,
)


def plain(**terms: float) -> GpuStep:
    return replace(PLAIN, dense=replace(ROOFLINE, **terms))


steps = st.builds(
    GpuStep,
    fixed_ms=st.floats(0, 10),
    dense=st.builds(
        SmoothRoofline,
        weights_ms=st.floats(0, 20),
        dense_share=st.floats(0, 1),
        token_ms=st.floats(0, 1),
        p_norm=st.floats(1, 10),
    ),
    pair_ms=st.floats(0, 1e-5),
    kv_token_ms=st.floats(0, 1e-3),
    mixed_kv_multiplier=st.floats(1, 3),
    sequence_ms=st.floats(0, 1),
    prefill_tile_tokens=st.integers(0, 512),
)


def test_a_step_sums_its_terms() -> None:
    law = PLAIN.law(LLAMA, 1000)
    # 100 tokens: 1 + sqrt(3^2 + 4^2) = 6 ms; pairs 256 x 40 + 100 x 101 / 2 = 15,290; two sequences
    assert law.step_ps([(98, 40)], 2, 5000) == (
        6_000_000_000  # 98 prompt tokens and 2 decodes
        + (256 * 40 + 98 * 99 // 2) * 1000
        + 3 * 10_000_000
        + 5000 * 200_000  # the mixed price
    )
    assert law.step_ps((), 100, 5000) == 6_000_000_000 + 100 * 10_000_000 + 5000 * 100_000


def test_an_exponent_of_one_adds_and_ten_nearly_takes_the_longer() -> None:
    assert plain(p_norm=1).law(LLAMA, 100).dense(100) == 8_000_000_000
    assert plain(p_norm=10).law(LLAMA, 100).dense(100) == pytest.approx(5_000_000_000, rel=0.005)


def test_no_tokens_and_no_weights_cost_the_fixed_part() -> None:
    assert PLAIN.law(LLAMA, 10).dense(0) == 4_000_000_000
    assert plain(weights_ms=0, token_ms=0).law(LLAMA, 10).dense(7) == 1_000_000_000


def test_a_mixture_reads_more_weights_the_more_tokens_there_are() -> None:
    law = replace(plain(weights_ms=1, dense_share=0.2, token_ms=0), fixed_ms=0).law(GPT_OSS, 8)
    assert law.dense(1) == 300_000_000  # 0.2 + 0.8 x 4/32
    assert law.dense(2) == 387_500_000  # 0.2 + 0.8 x (1 - (7/8)^2)


def test_half_the_layers_with_a_window_of_128_are_charged_64_tokens_each() -> None:
    law = PLAIN.law(GPT_OSS, 10)
    assert (law.pair_ps, law.token_ps) == (500, 64_000)
    assert (law.kv_ps, law.mixed_kv_ps) == (50_000, 100_000)
    assert law.decode_ps == 10_000_000 + 6_400_000


@pytest.mark.parametrize("context", [1, 60, 128, 4000])
def test_charging_a_full_window_costs_at_most_its_stated_bound(context: int) -> None:
    free = plain(weights_ms=0, token_ms=0)
    step = replace(free, fixed_ms=0, sequence_ms=0, pair_ms=8.04e-7, kv_token_ms=1.588e-5)
    law = step.law(GPT_OSS, 1)
    pairs = sum(0.5 * seen + 0.5 * min(seen, 128) for seen in range(1, context + 1))
    exact_prompt_ps = 8.04e-7 * pairs * 1e9
    exact_decode_ps = 1.588e-5 * (0.5 * context + 0.5 * min(context, 128)) * 1e9
    slack = 0.5 * (context + context * (context + 1) / 2)  # rounding of the integer coefficients
    assert -slack <= law.step_ps([(context, 0)], 0, 0) - exact_prompt_ps <= 3_300_000 + slack
    assert -slack <= law.step_ps((), 1, context) - exact_decode_ps <= 1_020_000 + slack


@given(steps, st.integers(0, 60), st.integers(0, 3000), st.sampled_from([LLAMA, GPT_OSS]))
def test_more_work_never_takes_less_time(step: GpuStep, decodes: int, kv: int, llm: Llm) -> None:
    law = step.law(llm, 128)
    assert list(law.dense_ps) == sorted(law.dense_ps)
    alone = law.step_ps((), decodes, kv)
    assert alone <= law.step_ps((), decodes, kv + 1)
    assert alone <= law.step_ps((), decodes + 1, kv)
    mixed = law.step_ps([(10, 50)], decodes, kv)
    assert alone <= mixed <= law.step_ps([(11, 50)], decodes, kv) <= law.step_ps([(11, 51)], decodes, kv + 1)


def test_a_table_is_linear_between_its_points_and_holds_below_the_first() -> None:
    law = replace(PLAIN, dense=DenseTable.of({100: 8.0, 10: 5.0})).law(LLAMA, 100)
    # with the fixed millisecond: 5 up to 10 tokens, then 3 ms over 90 tokens
    assert [law.dense(tokens) for tokens in (1, 10, 40, 100)] == [6 * 10**9, 6 * 10**9, 7 * 10**9, 9 * 10**9]


def test_a_measured_table_may_fall() -> None:
    law = replace(PLAIN, dense=DenseTable.of({1: 5.0, 2: 4.0})).law(LLAMA, 2)
    assert (law.dense(1), law.dense(2)) == (6 * 10**9, 5 * 10**9)


# Tiles of tokens


TILED = replace(PLAIN, tiles=GemmTiles(128))
PS_PER_MS = 10**9


def test_a_step_pays_for_the_tile_that_it_has_begun() -> None:
    dense = DenseTable.of({256: 10.0, 384: 14.0, 1024: 40.0, 1152: 45.0})
    law = replace(TILED, fixed_ms=0, dense=dense).law(LLAMA, 1152)
    assert law.dense(256) == 10 * PS_PER_MS
    assert [law.dense(tokens) for tokens in (257, 300, 384)] == [14 * PS_PER_MS] * 3
    assert [law.dense(tokens) for tokens in (897, 1000, 1024)] == [40 * PS_PER_MS] * 3
    assert [law.dense(tokens) for tokens in (1025, 1026, 1152)] == [45 * PS_PER_MS] * 3
    # prompt tokens and decodes fill one tile together: 1,000 + 24 and 1,000 + 25
    full, above = (law.step_ps([(1000, 0)], decodes, 0) for decodes in (24, 25))
    assert above - full == 5 * PS_PER_MS + law.decode_ps


def test_steps_below_the_threshold_and_without_tiles_are_as_they_were() -> None:
    tiled, plain_law = TILED.law(LLAMA, 600), PLAIN.law(LLAMA, 600)
    assert tiled.dense_ps[:257] == plain_law.dense_ps[:257]
    assert tiled.dense(257) == plain_law.dense(384)
    assert replace(PLAIN, tiles=GemmTiles(0, 0)).law(LLAMA, 600) == plain_law
    assert replace(PLAIN, tiles=GemmTiles(64, 0)).law(LLAMA, 600).dense(1) == plain_law.dense(64)


@settings(max_examples=20)
@given(step=steps, tile=st.sampled_from([16, 64, 128, 200]), above=st.sampled_from([0, 100, 128]))
def test_a_tiled_law_never_falls_is_flat_between_edges_and_meets_the_plain_one_there(
    step: GpuStep, tile: int, above: int
) -> None:
    law = replace(step, tiles=GemmTiles(tile, above)).law(LLAMA, 640)
    # Whole tiles beyond the budget are paid for by the steps that begin them.
    plain_law = step.law(LLAMA, 800)
    assert list(law.dense_ps) == sorted(law.dense_ps)
    for tokens in range(1, 641):
        whole = -(-tokens // tile) * tile if tokens > above else tokens
        assert law.dense(tokens) == plain_law.dense(whole)
