"""Ranks that keep step and share the experts of an MoE: their law, their memory, and what is refused."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodels.gpu_iteration import GpuIteration
from hwmodels.llm import Llm, load_llm
from hwmodels.roofline import Roofline

LLAMA = load_llm("llama3.1-8b")
GPT_OSS = load_llm("gpt-oss-20b")
FREE = {"link_latency_us": 0.0, "link_bandwidth_gb_per_s": 1e9}


def test_one_rank_is_a_plain_node() -> None:
    spec = Roofline(preset="h100")
    assert spec.model_copy(update={"data_parallel": 1}).build(GPT_OSS) == spec.build(GPT_OSS)


def test_steps_of_four_ranks_worked_by_hand() -> None:
    spec = Roofline.model_validate(
        {"preset": "h100", "data_parallel": 4, "link_latency_us": 5.0, "link_bandwidth_gb_per_s": 100.0}
    )
    law = spec.build(GPT_OSS).step_time
    # Attention, router and head are read in every step: 3,350 GB/s x 0.65; one token's products with them
    read_ms = GPT_OSS.dense_bytes("mxfp4") / 2.1775e9
    active = GPT_OSS.active_linear_params - GPT_OSS.expert_params * 4 // 32
    products_ms = 2 * active / (989e9 * 0.55)
    # A token of 2,880 values of 16 bits goes to 4 experts and back, in 24 layers: 3 messages each time
    exchanged_ms = 48 * 3 * (5 + 4 * 2880 * 2 / 4 / 100e3) / 1e3
    expected_ms = 0.5 + (read_ms**2 + products_ms**2) ** 0.5 + exchanged_ms
    assert law.dense(1) / 1e9 == pytest.approx(expected_ms, rel=1e-6)
    # 64 tokens meet all but (28/32)^64 of the experts, a quarter of which lie on a rank
    read_ms = GPT_OSS.expert_bytes("mxfp4") / 4 * (1 - 0.875**64) / 2.1775e9
    products_ms = 64 * 2 * (GPT_OSS.expert_params * 4 // 32) / 4 / (989e9 * 0.55)
    assert law.shared(64) / 1e9 == pytest.approx((read_ms**2 + products_ms**2) ** 0.5, rel=1e-6)


def test_a_rank_keeps_its_experts_and_all_of_the_rest() -> None:
    alone, rank = (
        Roofline(preset="h100").build(GPT_OSS),
        Roofline(preset="h100", data_parallel=4).build(GPT_OSS),
    )
    freed = GPT_OSS.expert_bytes("mxfp4") * 3 / 4 + GPT_OSS.router_params * 3 / 4 * 2
    assert rank.kv_pool_tokens - alone.kv_pool_tokens == pytest.approx(freed / 49_152, abs=1)
    assert (rank.ranks, rank.gpus, rank.usd_per_hour) == (4, 4, 12)
    assert rank.kv_bytes_per_token == alone.kv_bytes_per_token
    assert rank.max_num_seqs == alone.max_num_seqs, "each rank has as many"


@given(st.integers(1, 256), st.sampled_from(["h100", "h100_vllm"]))
@settings(max_examples=15, deadline=None)
def test_with_links_that_cost_nothing_more_ranks_never_take_longer_for_the_same_tokens_each(
    tokens: int, preset: str
) -> None:
    kind = GpuIteration if preset.endswith("_vllm") else Roofline
    steps = []
    for ranks in (2, 4, 8, 16, 32):
        spec = kind.model_validate({"preset": preset, "data_parallel": ranks, **FREE})
        law = spec.build(GPT_OSS, max_num_seqs=256, max_num_batched_tokens=256).step_time
        steps.append(law.step_ps((), tokens, 0) + law.shared(ranks * tokens))
    # products of the tokens of all, over as many GPUs; experts that are read are ever fewer on each
    assert all(later <= earlier * 1.0001 for earlier, later in pairwise(steps))


@pytest.mark.parametrize(
    ("llm", "stated", "sentence"),
    [
        (
            LLAMA,
            {"data_parallel": 2},
            r"data_parallel 2 does not suit llama3\.1-8b: it has no experts .*nodes: 2",
        ),
        (GPT_OSS, {"data_parallel": 33}, r"it has 32 experts, and each rank needs one"),
        (GPT_OSS, {"data_parallel": 2, "tensor_parallel": 2}, r"goes with tensor_parallel 1 alone, not 2"),
    ],
)
def test_what_ranks_cannot_share_is_refused(llm: Llm, stated: dict[str, int], sentence: str) -> None:
    spec = Roofline.model_validate({"preset": "h100", **stated})
    with pytest.raises(ValueError, match=sentence):
        spec.build(llm)


def test_a_dense_table_does_not_tell_attention_from_experts() -> None:
    stated = {"preset": "generic_vllm", "dense_ms_by_tokens": {1: 5, 8192: 90}, "data_parallel": 2}
    prices = dict.fromkeys(("ms_per_attn_pair", "ms_per_kv_token", "ms_per_sequence"), 0)
    spec = GpuIteration.model_validate({**stated, **prices, "memory_gb": 80, **FREE})
    with pytest.raises(ValueError, match=r"a table of dense times, which do not tell attention from experts"):
        spec.build(GPT_OSS)
