"""Nodes in every precision of weights and KV cache: their law, their memory, and what is the default."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from hwmodels.gpu_iteration import GpuIteration
from hwmodels.gpu_node import GpuSpec
from hwmodels.hardware import Hardware
from hwmodels.llm import load_llm
from hwmodels.roofline import Roofline

LLAMA = load_llm("llama3.1-8b")

# Step times in ms composed from the kernels of aiconfigurator-core 0.12.0: decode of 1, 32 and 128 sequences
# over 1k tokens, then the prefill of a lone prompt of 2k and 8k.
KERNELS = {
    ("h100_vllm_fp8", "fp8", "fp8"): (4.5, 5.8, 9.0, 34.7, 147),
    ("h100_vllm_fp8", "fp8", "bfloat16"): (4.4, 6.3, 10.8, 34.0, 145),
    ("h200_vllm_fp8", "fp8", "fp8"): (3.9, 5.2, 8.0, 29.7, 132),
    ("l40s_vllm", "bf16", "bfloat16"): (22.0, 31.4, 53.3, 144.9, 700),
    ("l40s_vllm", "bf16", "fp8"): (22.0, 27.0, 40.0, 146.4, 711),
    ("l40s_vllm_fp8", "fp8", "fp8"): (14.1, 16.6, 29.6, 107.2, 510),
    ("a100_vllm", "bf16", "bfloat16"): (11.9, 15.6, 24.8, 125.2, 557),
    ("b200_vllm", "bf16", "bfloat16"): (3.5, 4.2, 6.2, 22.3, 97.6),
    ("b200_vllm_fp8", "fp8", "fp8"): (4.9, 3.4, 4.6, 18.9, 77.5),
}


@pytest.mark.parametrize(("preset", "weights", "kv_cache_dtype"), KERNELS)
def test_nodes_in_every_precision_are_near_their_composed_steps(
    preset: str, weights: str, kv_cache_dtype: str
) -> None:
    spec = GpuIteration(preset=preset, weights=weights, kv_cache_dtype=kv_cache_dtype, t_host_ms=0)
    law = spec.build(LLAMA, max_num_batched_tokens=8192).step_time
    steps = [law.step_ps((), batch, batch * 1024) for batch in (1, 32, 128)]
    steps += [law.step_ps([(prompt, 0)], 0, 0) for prompt in (2048, 8192)]
    for took_ps, composed_ms in zip(steps, KERNELS[preset, weights, kv_cache_dtype], strict=True):
        assert took_ps / 1e9 == pytest.approx(composed_ms, rel=0.08)


@pytest.mark.parametrize(
    ("preset", "weights", "kv_cache_dtype"),
    [
        ("h100_vllm", "bf16", "bfloat16"),
        ("h100_vllm_fp8", "fp8", "fp8"),
        ("a100_vllm_int4", "int4", "bfloat16"),
        ("l4_int4", "int4", "bfloat16"),
    ],
)
def test_a_node_has_the_precision_that_it_is_bought_with(
    preset: str, weights: str, kv_cache_dtype: str
) -> None:
    spec = TypeAdapter[Any](Hardware).validate_python(preset)
    assert isinstance(spec, GpuSpec)
    node = spec.build(LLAMA)
    assert spec.stored(LLAMA, spec.entry()) == (weights, kv_cache_dtype)
    assert node.kv_bytes_per_token == LLAMA.kv_bytes_per_token(kv_cache_dtype)


def test_int4_leaves_room_for_more_tokens() -> None:
    """Weights take 5.73 GB instead of 16.06, as the AWQ checkpoint of Llama 3.1 8B does."""
    assert round(LLAMA.resident_bytes("int4") / 1e9, 2) == 5.73
    pools = {weights: Roofline(preset="l4", weights=weights).build(LLAMA) for weights in ("bf16", "int4")}
    # 21.6 GB less 2 of activations, less the weights, by 131,072 bytes
    assert pools["bf16"].kv_pool_tokens == 27_008
    assert pools["int4"].kv_pool_tokens == 105_840
    assert pools["int4"].step_time.step_ps((), 1, 0) < pools["bf16"].step_time.step_ps((), 1, 0) / 3


def test_a_cache_in_fp8_holds_twice_the_tokens_at_half_the_time() -> None:
    usual, half = (
        Roofline(preset="h100", kv_cache_dtype=dtype).build(LLAMA) for dtype in ("bfloat16", "fp8")
    )
    assert half.kv_pool_tokens // 2 == usual.kv_pool_tokens
    assert half.step_time.kv_ps == pytest.approx(usual.step_time.kv_ps / 2, abs=1)
    assert half.step_time.dense_ps == usual.step_time.dense_ps
