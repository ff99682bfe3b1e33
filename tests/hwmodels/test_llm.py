"""What the two LLMs cost, against figures worked by hand from their public configurations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodels.llm import load_llm

LLAMA = load_llm("llama3.1-8b")
GPT_OSS = load_llm("gpt-oss-20b")


def test_a_llama_token_takes_128_kib_of_kv_cache() -> None:
    assert LLAMA.kv_bytes_per_token() == 131_072
    assert 6_144 * LLAMA.kv_bytes_per_token() == 805_306_368  # one HC1 context: 805 MB in bf16


def test_a_gpt_oss_token_is_allocated_48_kib_over_all_layers() -> None:
    assert GPT_OSS.kv_bytes_per_token() == 49_152


def test_llama_has_8_030_billion_parameters_with_embedding_and_head() -> None:
    assert LLAMA.active_linear_params == 6_979_321_856
    assert LLAMA.head_params == 525_336_576
    assert LLAMA.active_linear_params + 2 * LLAMA.head_params == pytest.approx(8.030e9, rel=1e-4)


def test_a_gpt_oss_token_meets_3_608_billion_parameters_with_the_head() -> None:
    assert GPT_OSS.active_linear_params + GPT_OSS.head_params == pytest.approx(3.608e9, rel=1e-3)


@pytest.mark.parametrize(("weights", "read_gb", "resident_gb"), [("bf16", 15.01, 16.06), ("fp8", 8.03, 9.08)])
def test_llama_weights_are_read_once_per_step(weights: str, read_gb: float, resident_gb: float) -> None:
    assert LLAMA.step_bytes(weights, 1) / 1e9 == pytest.approx(read_gb, abs=0.005)
    assert LLAMA.step_bytes(weights, 500) == LLAMA.step_bytes(weights, 1)
    assert LLAMA.resident_bytes(weights) / 1e9 == pytest.approx(resident_gb, abs=0.005)


@pytest.mark.parametrize(("tokens", "gb"), [(1, 3.71), (4, 6.64), (8, 9.11), (16, 11.40), (64, 12.60)])
def test_a_gpt_oss_step_reads_the_experts_that_its_tokens_chose(tokens: int, gb: float) -> None:
    assert GPT_OSS.step_bytes("mxfp4", tokens) / 1e9 == pytest.approx(gb, abs=0.005)


def test_gpt_oss_weights_fill_13_76_gb_of_which_every_step_reads_a_fifth() -> None:
    assert GPT_OSS.resident_bytes("mxfp4") / 1e9 == pytest.approx(13.76, abs=0.005)
    assert GPT_OSS.dense_share("mxfp4") == pytest.approx(0.193, abs=0.001)


def test_attention_flops_count_all_layers() -> None:
    assert LLAMA.attention_flops_per_pair == 524_288
    assert GPT_OSS.attention_flops_per_pair == 2 * 196_608  # 12 full layers and 12 with a window


def test_half_of_the_gpt_oss_layers_have_a_window() -> None:
    assert (GPT_OSS.window_share, LLAMA.window_share) == (0.5, 0.0)


@given(st.integers(0, 4096))
def test_one_more_token_never_touches_fewer_experts(tokens: int) -> None:
    assert 0 <= GPT_OSS.expert_fraction(tokens) <= GPT_OSS.expert_fraction(tokens + 1) <= 1


def test_an_unknown_llm_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"no LLM 'llama3-8b'; did you mean llama3\.1-8b\?"):
        load_llm("llama3-8b")


def test_hardware_is_not_an_llm() -> None:
    with pytest.raises(
        ValueError, match="hc1 is of kind hardwired_asic, not llm: choose from gpt-oss-20b, llama"
    ):
        load_llm("hc1")


def test_weights_that_an_llm_does_not_come_in_are_refused() -> None:
    with pytest.raises(ValueError, match=r"no weights of gpt-oss-20b in 'fp8'.*mxfp4"):
        GPT_OSS.precision("fp8")
    assert GPT_OSS.precision() == "mxfp4"


@pytest.mark.parametrize(
    ("kv_cache_dtype", "bytes_per_token"),
    [
        ("bfloat16", 131_072),
        ("fp8", 65_536),
        ("int8_per_token_head", 65_536 + 2 * 32 * 8 * 4),  # a scale of 4 bytes for keys and one for values
        ("int4_per_token_head", 32_768 + 2 * 32 * 8 * 4),
    ],
)
def test_a_quantised_cache_stores_its_scales_too(kv_cache_dtype: str, bytes_per_token: int) -> None:
    assert LLAMA.kv_bytes_per_token(kv_cache_dtype) == bytes_per_token
