"""The two GPU kinds: step times against published illustrations, KV pools, and refusals."""

import csv
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hwmodels.gpu_iteration import GpuIteration
from hwmodels.llm import load_llm
from hwmodels.roofline import Roofline
from hwmodels.step_time import AffineStepTime

LLAMA = load_llm("llama3.1-8b")
GPT_OSS = load_llm("gpt-oss-20b")

BATCHES = ((1, 1024), (32, 1024), (128, 1024), (128, 8192))
# Step times composed from measured kernels (ai-dynamo/aiconfigurator 0.12.0, vLLM 0.24), in ms: decode of
# 1x1k, 32x1k, 128x1k, 128x8k; prefill of 512, 2k, 8k, 32k. Without host time between the steps.
COMPOSED = {
    ("h100_vllm", "llama3.1-8b", "bf16"): (6.2, 8.3, 12.8, 51, 12.0, 44, 200, 1082),
    ("h100_vllm", "llama3.1-8b", "fp8"): (4.4, 6.3, 10.8, 49, 9.4, 34, 145, 917),
    ("h200_vllm", "llama3.1-8b", "bf16"): (4.9, 6.3, 9.9, 36, 11.5, 43, 199, 1110),
    ("h200_vllm", "llama3.1-8b", "fp8"): (3.8, 5.4, 8.8, 35, 8.7, 29, 131, 840),
    ("h100_vllm", "gpt-oss-20b", "mxfp4"): (3.1, 6.9, 10.6, 18, 13.7, 29, 109, 577),
    ("h200_vllm", "gpt-oss-20b", "mxfp4"): (2.8, 6.3, 10.0, 15, 13.3, 30, 108, 586),
}


def illustrated_ms(law: AffineStepTime) -> list[float]:
    decodes = [law.step_ps((), batch, batch * context) for batch, context in BATCHES]
    prefills = [law.step_ps([(prompt, 0)], 0, 0) for prompt in (512, 2048, 8192, 32_768)]
    return [step / 1e9 for step in decodes + prefills]


@pytest.mark.parametrize(("preset", "llm", "weights"), COMPOSED)
def test_fitted_step_times_agree_with_the_composed_ones(preset: str, llm: str, weights: str) -> None:
    spec = GpuIteration.model_validate({"preset": preset, "weights": weights, "t_host_ms": 0})
    node = spec.build(load_llm(llm), max_num_batched_tokens=32_768)
    tolerance = 0.08 if llm == "llama3.1-8b" else 0.13
    assert illustrated_ms(node.step_time) == pytest.approx(COMPOSED[preset, llm, weights], rel=tolerance)


@pytest.mark.parametrize(("preset", "fitted"), [("h100", "h100_vllm"), ("h200", "h200_vllm")])
def test_a_data_sheet_comes_within_30_percent_of_the_fit(preset: str, fitted: str) -> None:
    sheet = Roofline(preset=preset).build(LLAMA, max_num_batched_tokens=32_768)
    fit = GpuIteration(preset=fitted).build(LLAMA, max_num_batched_tokens=32_768)
    assert illustrated_ms(sheet.step_time) == pytest.approx(illustrated_ms(fit.step_time), rel=0.30)


def test_a_data_sheet_expands_to_times_worked_by_hand() -> None:
    law = Roofline(preset="h100").build(LLAMA).step_time
    # 989 TFLOPS x 0.55 and 3,350 GB/s x 0.85 for KV: 524,288 FLOP, 131,072 B, 2 x 525,336,576 FLOP
    assert (law.pair_ps, law.kv_ps) == (964, 46_031)
    assert law.chunk_ps == law.decode_ps == 1_931_562
    # 15.0093 GB / (3,350 GB/s x 0.65) = 6.89291 ms, one token computes 0.02566 ms: sqrt of squares 6.89296,
    # and 0.5 ms of overhead
    assert law.dense(1) == pytest.approx(7_392_960_000, rel=1e-6)


def test_an_h100_holds_411_529_llama_tokens() -> None:
    # (80 GB x 0.9 - 2 GB - 16.059990016 GB) / 131,072 B
    node = Roofline(preset="h100").build(LLAMA)
    assert node.kv_pool_tokens == 411_529
    assert (node.max_num_seqs, node.max_num_batched_tokens, node.request_overhead_ps) == (1024, 8192, 0)


def test_fp8_weights_leave_more_room_for_kv() -> None:
    # 6.979 GB less than in bf16: 53,248 tokens more
    assert Roofline(preset="h100", weights="fp8").build(LLAMA).kv_pool_tokens == 411_529 + 53_248


def test_a_stated_pool_needs_no_memory() -> None:
    node = Roofline(peak_bf16_tflops=100, memory_bandwidth_gb_per_s=1000, kv_pool_tokens=5000).build(LLAMA)
    assert node.kv_pool_tokens == 5000
    assert "memory_gb" not in {value.name for value in node.values}


def test_an_llm_that_does_not_fit_is_refused_with_its_numbers() -> None:
    with pytest.raises(
        ValueError, match=r"llama3\.1-8b in bf16 does not fit: its weights take 16\.1 GB .* 14\.4 GB"
    ):
        Roofline(preset="l40s", memory_gb=16).build(LLAMA)


def test_a_scenarios_limits_replace_the_engines_and_leave_the_list_of_values() -> None:
    node = Roofline(preset="a100").build(LLAMA, max_num_seqs=64, max_num_batched_tokens=512)
    assert (node.max_num_seqs, node.max_num_batched_tokens, len(node.step_time.dense_ps)) == (64, 512, 513)
    assert not {"max_num_seqs", "max_num_batched_tokens"} & {value.name for value in node.values}


def test_a_card_without_fp8_says_which_have_it() -> None:
    with pytest.raises(
        ValueError, match=r"a100 has no peak_fp8_tflops.*\(b200, h100, h200, l4, l40s, l4_int4, rtx_"
    ):
        Roofline(preset="a100", weights="fp8").build(LLAMA)


def test_a_fit_holds_for_its_own_llms_and_precisions() -> None:
    with pytest.raises(ValueError, match=r"rtx_pro_6000_vllm is made for llama3\.1-8b, not for gpt-oss-20b"):
        GpuIteration(preset="rtx_pro_6000_vllm").build(GPT_OSS)
    with pytest.raises(ValueError, match=r"no fit of llama3\.1-8b in 'fp8'; choose from bf16"):
        GpuIteration(preset="rtx_pro_6000_vllm", weights="fp8").build(LLAMA)


def test_gpt_oss_on_h100_is_said_to_be_unvalidated() -> None:
    assert any("not validated" in note for note in GpuIteration(preset="h100_vllm").build(GPT_OSS).notes)
    assert not any("not validated" in note for note in GpuIteration(preset="h100_vllm").build(LLAMA).notes)


def composed_steps() -> Iterator[dict[str, str]]:
    folder = os.environ.get("E80SIM_DATA")
    if not folder:
        pytest.skip("E80SIM_DATA is not set: the composed step times are not part of the repository")
    with Path(folder, "calibration", "aic_composed_iteration_llama8b_gptoss20b.csv").open(newline="") as file:
        yield from csv.DictReader(file)


@pytest.mark.parametrize(("preset", "llm", "weights"), COMPOSED)
def test_fits_meet_all_unmixed_composed_steps_within_5_percent_on_the_mean(
    preset: str, llm: str, weights: str
) -> None:
    quantisation = {"bf16": "default", "fp8": "fp8", "mxfp4": "default"}[weights]
    spec = GpuIteration.model_validate({"preset": preset, "weights": weights, "t_host_ms": 0})
    law = spec.build(load_llm(llm), max_num_batched_tokens=16_384).step_time
    errors = [
        abs(_law_ms(law, row) / float(row["latency_ms"]) - 1)
        for row in composed_steps()
        if row["system"] == preset.replace("_vllm", "_sxm")
        and row["backend"] == "vllm"
        and ("gpt-oss" in row["model"]) == (llm == "gpt-oss-20b")
        and row["gemm_quant"] == quantisation
        and row["kind"] != "mixed"
        and int(row["new_tokens_total"]) <= 16_384
    ]
    assert len(errors) == 212
    assert sum(errors) / len(errors) <= 0.05


def _law_ms(law: AffineStepTime, row: dict[str, str]) -> float:
    batch, decodes = int(row["batch_size"]), int(row["decode_batch"])
    new = int(row["new_tokens_total"]) // batch
    chunks = [(new, int(row["past_kv_tokens"]))] * batch if new else []
    return law.step_ps(chunks, decodes, decodes * int(row["kv_tokens_per_seq"])) / 1e9


TABLE = {1: 7.0, 100: 9.0, 8192: 200.0}
ATTENTION = {
    "ms_per_attn_pair": 1e-6,
    "ms_per_kv_token": 1e-4,
    "ms_per_sequence": 0.01,
    "kv_pool_tokens": 9000,
}


def test_a_dense_table_replaces_the_roofline_terms() -> None:
    spec = GpuIteration.model_validate({"dense_ms_by_tokens": TABLE, "t_host_ms": 0.5, **ATTENTION})
    node = spec.build(LLAMA)
    assert node.step_time.dense(1) == 7_500_000_000
    assert node.step_time.dense(100) == 9_500_000_000
    assert {"t_weights_ms", "p_norm"}.isdisjoint(value.name for value in node.values)
    assert "dense_scale" in {value.name for value in node.values}


def test_a_dense_scale_multiplies_the_table() -> None:
    spec = GpuIteration.model_validate({"dense_ms_by_tokens": TABLE, "dense_scale": 1.1, **ATTENTION})
    assert spec.build(LLAMA).step_time.dense(100) == pytest.approx((9.9 + 0.5) * 1e9)


def test_tiles_are_stated_with_the_hardware_of_either_kind() -> None:
    spec = GpuIteration.model_validate({"preset": "h100_vllm", "gemm_tile_tokens": 128})
    plain = GpuIteration(preset="h100_vllm").build(LLAMA).step_time
    law = spec.build(LLAMA).step_time
    assert (law.dense(256), law.dense(257)) == (plain.dense(256), plain.dense(384))
    everywhere = Roofline(preset="h100", gemm_tile_tokens=64, gemm_tile_above_tokens=0).build(LLAMA).step_time
    assert everywhere.dense(1) == Roofline(preset="h100").build(LLAMA).step_time.dense(64)


def test_a_dense_table_survives_json() -> None:
    spec = GpuIteration.model_validate({"dense_ms_by_tokens": TABLE, **ATTENTION})
    again = GpuIteration.model_validate(spec.model_dump(mode="json", exclude_unset=True))
    assert again == spec


def test_a_dense_table_and_a_roofline_term_contradict_each_other() -> None:
    with pytest.raises(ValueError, match="ms_per_token has no effect with dense_ms_by_tokens"):
        GpuIteration.model_validate({"dense_ms_by_tokens": TABLE, "ms_per_token": 0.03})


def test_a_dense_table_must_reach_as_far_as_steps_do() -> None:
    spec = GpuIteration.model_validate({"dense_ms_by_tokens": {1: 7.0, 2048: 60.0}, **ATTENTION})
    assert len(spec.build(LLAMA, max_num_batched_tokens=2048).step_time.dense_ps) == 2049
    with pytest.raises(ValueError, match="ends at 2048 tokens, and a step may have 8192: lower max_num"):
        spec.build(LLAMA)


@pytest.mark.parametrize("table", [{}, {0: 1.0}, {1: 0.0}, {1: -2.0}, {1: float("nan")}, {"x": 1.0}])
def test_a_malformed_dense_table_is_refused(table: dict[object, float]) -> None:
    with pytest.raises(ValueError, match="dense_ms_by_tokens"):
        GpuIteration.model_validate({"dense_ms_by_tokens": table})


def test_a_stated_roofline_term_over_a_preset_with_a_table_has_no_effect(tmp_path: Path) -> None:
    path = tmp_path / "card.yaml"
    path.write_text(
        "kind: gpu_iteration\ntitle: a card\nextends: generic_vllm\nfits:\n"
        "  - {llm: llama3.1-8b, weights: bf16, values: {}, dense_ms_by_tokens: {1: 7.0, 8192: 200.0}}\n",
        encoding="utf-8",
    )
    plain = GpuIteration.model_validate({"preset": str(path), **ATTENTION})
    assert plain.build(LLAMA).step_time.dense(1) == 7_500_000_000
    with pytest.raises(
        ValueError, match=r"t_weights_ms has no effect on .*card\.yaml, whose dense times are a"
    ):
        GpuIteration.model_validate({"preset": str(path), "t_weights_ms": 5.0, **ATTENTION}).build(LLAMA)


@pytest.mark.parametrize("preset", ["h100_vllm", "h100_vllm_fp8", "a100_vllm", "l40s_vllm_fp8"])
def test_engines_of_vllm_schedule_ahead_behind_a_front_end(preset: str) -> None:
    node = GpuIteration(preset=preset).build(LLAMA)
    assert (node.async_scheduling, node.request_overhead_ps, node.launch_ps) == (True, 33 * 10**8, 34 * 10**8)
    read = {value.name: value for value in node.values}
    assert all(read[name].source for name in ("async_scheduling", "front_end_ms", "launch_ms"))


def test_coefficients_that_a_scenario_states_say_nothing_of_an_engine() -> None:
    node = Roofline(preset="h100").build(LLAMA)
    assert (node.async_scheduling, node.request_overhead_ps, node.launch_ps) == (False, 0, 0)
