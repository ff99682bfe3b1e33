"""GPUs that share each layer: what a rank holds, what it costs to agree, and what is refused."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodels.entry import LINK, names
from hwmodels.gpu_iteration import GpuIteration
from hwmodels.gpu_node import GpuSpec
from hwmodels.llm import PRECISIONS, Llm, load_llm
from hwmodels.parallel.rank import rank_of, widths_of
from hwmodels.roofline import Roofline

LLAMA = load_llm("llama3.1-8b")
GPT_OSS = load_llm("gpt-oss-20b")
QWEN = load_llm("qwen3-32b")
BY_HAND = {"link_latency_us": 10.0, "link_bandwidth_gb_per_s": 50.0}
"""A link without measured times."""


def test_a_rank_of_four_holds_a_quarter_of_heads_and_matrices() -> None:
    rank = rank_of(LLAMA, 4)
    assert (rank.num_attention_heads, rank.num_key_value_heads, rank.intermediate_size) == (8, 2, 3584)
    assert 4 * rank.resident_bytes("bf16") == LLAMA.resident_bytes("bf16")
    assert 4 * rank.kv_bytes_per_token() == LLAMA.kv_bytes_per_token()


def test_sixteen_ranks_have_two_copies_of_each_of_eight_kv_heads() -> None:
    assert rank_of(LLAMA, 16).kv_bytes_per_token() == rank_of(LLAMA, 8).kv_bytes_per_token() == 16_384


@pytest.mark.parametrize(
    ("llm", "width", "sentence"),
    [
        (LLAMA, 3, r"tensor_parallel 3 does not suit llama3\.1-8b: its 32 \(num_attention_heads\) do not"),
        (QWEN, 24, r"tensor_parallel 24 .*num_attention_heads.*choose from 1, 2, 4, 8, 16, 32, 64"),
        (
            GPT_OSS,
            5,
            r"its 64 \(num_attention_heads\) do not divide by it; choose from 1, 2, 4, 8, 16, 32, 64",
        ),
        (replace(LLAMA, num_key_value_heads=12), 8, r"its 12 KV heads .* neither be dealt out nor copied"),
        (replace(LLAMA, intermediate_size=14_338), 4, r"its 14,338 \(intermediate_size\) do not divide"),
    ],
)
def test_what_cannot_be_dealt_out_is_refused(llm: Llm, width: int, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        rank_of(llm, width)


@given(
    st.sampled_from([LLAMA, GPT_OSS, QWEN]),
    st.sampled_from(list(PRECISIONS)),
    st.sampled_from(["bfloat16", "fp8", "int8_per_token_head"]),
)
@settings(max_examples=20, deadline=None)
def test_a_wider_node_never_has_more_weights_or_cache_per_rank(llm: Llm, weights: str, kv: str) -> None:
    ranks = [rank_of(llm, width) for width in widths_of(llm)]
    for sizes in (
        [rank.resident_bytes(weights) for rank in ranks],
        [rank.kv_bytes_per_token(kv) for rank in ranks],
        [rank.active_linear_params for rank in ranks],
    ):
        assert sizes == sorted(sizes, reverse=True)
    assert all(
        width * rank.resident_bytes(weights) >= llm.resident_bytes(weights)
        for width, rank in zip(widths_of(llm), ranks, strict=True)
    ), "and all ranks together never fewer"


@pytest.mark.parametrize("spec", [Roofline(preset="h100"), GpuIteration(preset="h100_vllm")])
def test_one_gpu_tells_nobody_and_is_what_it_was(spec: GpuSpec) -> None:
    stated = spec.model_copy(update={"tensor_parallel": 1, "link": "pcie4"})
    assert stated.build(LLAMA) == spec.build(LLAMA)


def test_steps_of_two_gpus_worked_by_hand() -> None:
    stated = {"preset": "h100", "tensor_parallel": 2, "tensor_parallel_serial_share": 0.1, **BY_HAND}
    spec = Roofline.model_validate(stated)
    law, alone = spec.build(LLAMA).step_time, Roofline(preset="h100").build(LLAMA).step_time
    # One GPU reads 15.0093 GB in 6.89291 ms, which leaves 0.1 + 0.9 / 2 of it; a token's sum has 8,192 B,
    # which two read in one shot: 2 x 10 us + 8,192 / 50,000 us, 65 times; a gather's message takes 10 us
    summed_ms = 65 * (20 + 8192 / 50_000) / 1e3
    assert law.dense(1) / 1e9 == pytest.approx(0.5 + 0.55 * 6.89296 + summed_ms + 0.010, rel=1e-5)
    assert law.pair_ps == alone.pair_ps / 2
    assert law.kv_ps == pytest.approx(alone.kv_ps / 2, abs=1)
    # half of the head, and half of the 256,512 B of a sequence's logits over the link
    assert (
        law.chunk_ps
        == law.decode_ps
        == pytest.approx(0.55 * alone.chunk_ps + 128_256 / 50_000 * 1e6, rel=1e-5)
    )


def test_memory_power_and_price_count_every_gpu() -> None:
    node = Roofline(preset="h100", tensor_parallel=2).build(LLAMA)
    # of each (80 GB x 0.9 - 2 GB - 8.03 GB) / 65,536 B
    assert node.kv_pool_tokens == 945_587
    assert (node.gpus, node.idle_w, node.busy_w, node.usd_per_hour) == (2, 160, 910, 6)
    assert node.kv_bytes_per_token == LLAMA.kv_bytes_per_token()


def test_an_llm_too_large_for_one_gpu_fits_on_two() -> None:
    small = Roofline(preset="h100", memory_gb=48)
    with pytest.raises(ValueError, match=r"qwen3-32b in bf16 does not fit: its weights take 65\.\d GB"):
        small.build(QWEN)
    assert small.model_copy(update={"tensor_parallel": 2}).build(QWEN).kv_pool_tokens > 1


@given(st.sampled_from(names(LINK)), st.sampled_from(["h100", "h100_vllm", "l40s_vllm", "rtx_pro_6000"]))
@settings(max_examples=10, deadline=None)
def test_communication_is_all_that_a_link_changes(link: str, preset: str) -> None:
    kind = GpuIteration if preset.endswith("_vllm") else Roofline
    spec = kind.model_validate({"preset": preset, "tensor_parallel": 4, "link": link})
    free = spec.model_copy(update={"link_latency_us": 0.0, "link_bandwidth_gb_per_s": 1e9})
    told, untold = (one.build(LLAMA, max_num_batched_tokens=2048) for one in (spec, free))
    law, bare = told.step_time, untold.step_time
    added = [one - other for one, other in zip(law.dense_ps, bare.dense_ps, strict=True)]
    assert min(added) > 0
    assert added == sorted(added), "more tokens never tell each other less"
    assert (law.pair_ps, law.kv_ps, law.token_ps) == (bare.pair_ps, bare.kv_ps, bare.token_ps)


def test_a_card_that_says_nothing_of_its_link_asks_for_one() -> None:
    spec = Roofline(peak_bf16_tflops=100, memory_bandwidth_gb_per_s=1000, memory_gb=80, tensor_parallel=2)
    with pytest.raises(ValueError, match=r"does not say what connects its GPUs: state link \(nvlink3, "):
        spec.build(LLAMA)
    assert spec.model_copy(update=BY_HAND).build(LLAMA).gpus == 2


def test_only_figures_of_a_link_that_count_are_listed() -> None:
    spec = Roofline(preset="h100", tensor_parallel=2)
    assert not any(value.name.startswith("link_") for value in spec.build(LLAMA).values)
    slower = spec.model_copy(update={"link_bandwidth_gb_per_s": 25.0}).build(LLAMA)
    told = {value.name: (value.value, value.source) for value in slower.values}
    assert told["link_bandwidth_gb_per_s"] == (25.0, "scenario")
    assert told["link_latency_us"][0] == 2.1


PER_RANK = """
kind: gpu_iteration
title: One of two
extends: rtx_pro_6000_vllm
fits:
  - llm: llama3.1-8b
    weights: bf16
    tensor_parallel: 2
    values:
      ms_per_attn_pair: &it {value: 0, source: by hand, confidence: assumed}
      ms_per_kv_token: *it
      ms_per_sequence: *it
      mixed_kv_multiplier: {value: 1, source: by hand, confidence: assumed}
      t_fixed_ms: *it
      t_host_ms: *it
      dense_scale: {value: 1, source: by hand, confidence: assumed}
      prefill_tile_tokens: *it
    dense_ms_by_tokens: {1: 10, 8192: 10}
"""


def test_steps_of_a_rank_count_as_they_were_timed(tmp_path: Path) -> None:
    path = tmp_path / "rank.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(PER_RANK)))
    spec = GpuIteration.model_validate({"preset": str(path), "tensor_parallel": 2, **BY_HAND})
    law = spec.build(LLAMA).step_time
    assert law.dense(1) / 1e9 == pytest.approx(10 + 65 * (20 + 8192 / 50_000) / 1e3 + 0.010)
    with pytest.raises(ValueError, match=r"no fit of llama3\.1-8b at tensor_parallel 4; choose from 2"):
        spec.model_copy(update={"tensor_parallel": 4}).build(LLAMA)
