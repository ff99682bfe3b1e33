"""Fitting a step-time law: known coefficients come back, and what a table cannot tell is said."""

import csv
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwmodels.calibrate.fit import Calibration, calibrate
from hwmodels.calibrate.read import read_step_table
from hwmodels.calibrate.step_table import StepTable
from hwmodels.dense import DenseTable, GemmTiles, SmoothRoofline
from hwmodels.gpu_step import GpuStep
from hwmodels.llm import Llm, load_llm
from hwmodels.step_time import AffineStepTime

LLAMA = load_llm("llama3.1-8b")
GPT_OSS = load_llm("gpt-oss-20b")
TRUTH = GpuStep(
    fixed_ms=1.5,
    dense=SmoothRoofline(weights_ms=6.0, dense_share=1, token_ms=0.03, p_norm=2.5),
    pair_ms=2e-6,
    kv_token_ms=8e-5,
    mixed_kv_multiplier=1.8,
    sequence_ms=0.012,
    prefill_tile_tokens=200,
)
KNOWN = {
    "t_fixed_ms": 1.5,
    "t_weights_ms": 6.0,
    "ms_per_token": 0.03,
    "p_norm": 2.5,
    "ms_per_attn_pair": 2e-6,
    "prefill_tile_tokens": 200,
    "ms_per_kv_token": 8e-5,
    "mixed_kv_multiplier": 1.8,
    "ms_per_sequence": 0.012,
}
HEADER = ("prefill_chunk", "kv_prefill", "n_decode", "kv_decode", "iteration_ms")
Shape = tuple[int, int, int, int]
"""Prompt tokens, their past, decoding sequences, context of each."""

GRID: list[Shape] = [
    (new, past, decodes, context)
    for new in (0, 16, 128, 512, 2048)
    for past in (0, 1024, 8192)
    for decodes in (0, 1, 16, 128)
    for context in (128, 2048, 8192)
    if new + decodes and (new or not past) and (decodes or context == 128)
]


def write_table(
    path: Path, law: AffineStepTime, shapes: Iterable[Shape], noise: float = 0, seed: int = 0
) -> Path:
    rng = np.random.default_rng(seed)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(HEADER)
        for new, past, decodes, context in shapes:
            step_ps = law.step_ps([(new, past)] if new else [], decodes, decodes * context)
            step_ms = step_ps / 1e9 * float(np.exp(noise * rng.standard_normal()))
            rows.writerow((new, past, decodes, context, f"{step_ms:.9g}"))
    return path


def synthetic(
    folder: Path,
    truth: GpuStep = TRUTH,
    shapes: Sequence[Shape] = GRID,
    llm: Llm = LLAMA,
    noise: float = 0,
    seed: int = 0,
) -> StepTable:
    return read_step_table(write_table(folder / "steps.csv", truth.law(llm, 4096), shapes, noise, seed))


def values_of(calibration: Calibration) -> dict[str, float]:
    return {estimate.name: estimate.value for estimate in calibration.estimates}


def test_an_exact_table_gives_its_coefficients_back(tmp_path: Path) -> None:
    fit = calibrate(synthetic(tmp_path), LLAMA, hold_out=0.3)
    assert values_of(fit) == pytest.approx(KNOWN, rel=1e-3)
    assert fit.usual_error.mape == pytest.approx(0, abs=1e-5)


def test_95_percent_intervals_hold_the_truth_about_95_times_in_100(tmp_path: Path) -> None:
    held = []
    for seed in range(15):
        fit = calibrate(synthetic(tmp_path, noise=0.02, seed=seed), LLAMA, hold_out=0, seed=seed)
        for estimate in fit.estimates:
            assert estimate.low is not None
            assert estimate.high is not None
            held.append(estimate.low <= KNOWN[estimate.name] <= estimate.high)
    assert len(held) == 135
    # binomial: 4 standard deviations below 95 %, clusters cost a little more
    assert 0.85 <= sum(held) / len(held) < 1


def test_intervals_are_of_use(tmp_path: Path) -> None:
    fit = calibrate(synthetic(tmp_path, noise=0.02), LLAMA, hold_out=0)
    width = {e.name: (e.high or 0) - (e.low or 0) for e in fit.estimates}
    assert 0 < width["ms_per_token"] < 0.1 * 0.03
    assert 0 < width["ms_per_attn_pair"] < 0.1 * 2e-6
    assert 0 < width["ms_per_kv_token"] < 0.1 * 8e-5


def test_a_held_out_error_is_that_of_steps_the_fit_has_not_seen(tmp_path: Path) -> None:
    table = synthetic(tmp_path, noise=0.05)
    fit = calibrate(table, LLAMA, hold_out=0.5)
    assert [row.part for row in fit.held_out] == [
        "all steps",
        "context up to 4k",
        "decodes only",
        "prompts only",
        "mixed",
    ]
    assert fit.held_out[0].steps == table.rows // 2
    assert fit.errors[0].steps == table.rows
    # 5 % of noise has a mean absolute error of 0.05 x sqrt(2/pi) = 4.0 %
    assert fit.held_out[0].mape == pytest.approx(0.040, abs=0.012)


def test_the_fixed_and_the_weight_term_of_an_additive_law_are_one(tmp_path: Path) -> None:
    roofline = SmoothRoofline(weights_ms=6.0, dense_share=1, token_ms=0.03, p_norm=1)
    fit = calibrate(synthetic(tmp_path, replace(TRUTH, dense=roofline), noise=0.002), LLAMA)
    found = values_of(fit)
    assert found["t_fixed_ms"] + found["t_weights_ms"] == pytest.approx(7.5, rel=0.01)
    assert any("t_weights_ms" in w and ("trade off" in w or "told apart" in w) for w in fit.warnings)


def test_a_mixture_that_adds_puts_its_exponent_at_the_bound_and_says_so(tmp_path: Path) -> None:
    roofline = SmoothRoofline(6.0, GPT_OSS.dense_share("mxfp4"), 0.03, p_norm=1)
    truth = replace(TRUTH, dense=roofline)
    fit = calibrate(synthetic(tmp_path, truth, llm=GPT_OSS), GPT_OSS, hold_out=0)
    assert values_of(fit)["p_norm"] == 1
    assert "p_norm is at its bound 1: the steps would take it further" in fit.warnings


def test_the_two_terms_of_a_narrow_range_of_batches_trade_off(tmp_path: Path) -> None:
    shapes = [(0, 0, batch, context) for batch in (1, 2, 4, 8, 16, 32) for context in range(100, 4000, 300)]
    fit = calibrate(synthetic(tmp_path, shapes=shapes, noise=0.01), LLAMA)
    assert any("t_fixed_ms" in w and "t_weights_ms" in w for w in fit.warnings)


def test_two_terms_that_only_ever_come_together_are_told(tmp_path: Path) -> None:
    shapes = [(0, 0, 8, context) for context in range(100, 5000, 50)]
    fit = calibrate(synthetic(tmp_path, shapes=shapes, noise=0.01), LLAMA)
    text = "\n".join(fit.warnings)
    assert "t_fixed_ms, t_weights_ms, ms_per_token, p_norm and ms_per_sequence cannot be told apart" in text
    assert "ms_per_attn_pair has no effect on any step of the table" in text
    undetermined = {estimate.name for estimate in fit.estimates if estimate.low is None}
    assert {"t_fixed_ms", "t_weights_ms", "ms_per_token", "ms_per_sequence"} <= undetermined
    assert "ms_per_kv_token" not in undetermined


def test_a_mixture_with_windows_comes_back_through_the_same_law(tmp_path: Path) -> None:
    share = GPT_OSS.dense_share("mxfp4")
    truth = replace(TRUTH, dense=SmoothRoofline(6.0, share, 0.03, 1.5))
    fit = calibrate(synthetic(tmp_path, truth, llm=GPT_OSS), GPT_OSS, hold_out=0)
    assert values_of(fit) == pytest.approx(KNOWN | {"p_norm": 1.5}, rel=5e-3)


def test_the_table_form_finds_dense_times_that_no_roofline_has(tmp_path: Path) -> None:
    dense = {1: 7.0, 16: 7.5, 128: 7.2, 129: 9.0, 144: 9.1, 512: 20.0, 2048: 70.0, 4096: 140.0}
    truth = replace(TRUTH, fixed_ms=0, dense=DenseTable.of(dense))
    table = synthetic(tmp_path, truth)
    fit = calibrate(table, LLAMA, form="table", hold_out=0)
    found = fit.step.dense
    assert isinstance(found, DenseTable)
    times = dict(zip(found.tokens, found.times_ms, strict=True))
    assert [times[tokens] for tokens in (1, 16, 128, 144, 512, 2048)] == pytest.approx(
        [7.0, 7.5, 7.2, 9.1, 20.0, 70.0], rel=2e-3
    )
    assert values_of(fit)["ms_per_kv_token"] == pytest.approx(8e-5, rel=1e-2)
    # which the smooth roofline misses by more than 1 % on the mean
    roofline = calibrate(table, LLAMA, hold_out=0).errors[0].mape
    assert roofline is not None
    assert roofline > 0.01


def test_dense_times_of_the_table_are_taken_as_they_are(tmp_path: Path) -> None:
    table = synthetic(tmp_path)
    # 1.2 ms of the dense part are known apart: the rest of the fixed part is 0.3 ms
    dense_ms = 1.2 + TRUTH.dense.ms(table.tokens, LLAMA)
    fit = calibrate(replace(table, dense_ms=dense_ms), LLAMA, form="table", hold_out=0)
    assert values_of(fit)["t_fixed_ms"] == pytest.approx(0.3, abs=0.01)
    assert values_of(fit)["ms_per_sequence"] == pytest.approx(0.012, rel=0.01)


TILED_GRID: list[Shape] = [
    *(
        (new, 0, 0, 0)
        for edge in (384, 512, 768, 1024, 2048)
        for new in (edge - 16, edge, edge + 1, edge + 16)
    ),
    *GRID,
]


def test_tiles_come_back_through_a_padded_fit(tmp_path: Path) -> None:
    tiles = GemmTiles(128)
    table = synthetic(tmp_path, replace(TRUTH, tiles=tiles), TILED_GRID)
    fit = calibrate(table, LLAMA, hold_out=0, tiles=tiles)
    assert values_of(fit) == pytest.approx(KNOWN, rel=2e-3)
    assert fit.usual_error.mape == pytest.approx(0, abs=1e-4)
    assert not any("multiple of 128" in warning for warning in fit.warnings)


def test_a_smooth_fit_of_steps_in_tiles_says_what_it_leaves_out(tmp_path: Path) -> None:
    table = synthetic(tmp_path, replace(TRUTH, tiles=GemmTiles(128)), TILED_GRID)
    fit = calibrate(table, LLAMA, hold_out=0)
    (told,) = (warning for warning in fit.warnings if "multiple of 128" in warning)
    assert "--gemm-tile-tokens 128 fits tiles" in told
    smooth = calibrate(synthetic(tmp_path, TRUTH, TILED_GRID), LLAMA, hold_out=0)
    assert not any("multiple of 128" in warning for warning in smooth.warnings)


@pytest.mark.parametrize("apart", [False, True], ids=["fitted", "measured apart"])
def test_a_dense_table_in_tiles_has_both_sides_of_each_jump(tmp_path: Path, apart: bool) -> None:
    truth = replace(TRUTH, fixed_ms=0, tiles=GemmTiles(128))
    table = synthetic(tmp_path, truth, [*TILED_GRID[:20], *GRID[::5]])
    if apart:
        table = replace(table, dense_ms=truth.dense_ms(table.tokens, LLAMA))
    fit = calibrate(table, LLAMA, form="table", hold_out=0, tiles=GemmTiles(128))
    law = fit.step.law(LLAMA, 2048)
    for tokens in (512, 513, 640, 1024, 1025):
        assert law.dense(tokens) == pytest.approx(truth.law(LLAMA, 2048).dense(tokens), rel=5e-3)
    (untimed,) = (warning for warning in fit.warnings if "no step was timed" in warning)
    assert "of the 15 tiles of 128 tokens from 384 to 2,176" in untimed


def test_a_dense_table_without_tiles_says_across_which_jump_it_is_interpolated(tmp_path: Path) -> None:
    dense = DenseTable.of({1: 7.0, 512: 20.0, 640: 26.0, 2200: 80.0})
    truth = replace(TRUTH, fixed_ms=0, dense=dense, tiles=GemmTiles(128))
    shapes = [shape for shape in TILED_GRID if shape[0] + shape[2] not in {513, 1025}]
    table = synthetic(tmp_path, truth, shapes)
    table = replace(table, dense_ms=truth.dense_ms(table.tokens, LLAMA))
    fit = calibrate(table, LLAMA, form="table", hold_out=0)
    (told,) = (warning for warning in fit.warnings if "interpolated across the jump" in warning)
    assert "most from 512 to 528:" in told


def test_a_table_with_fewer_steps_than_it_takes_is_refused(tmp_path: Path) -> None:
    table = synthetic(tmp_path, shapes=GRID[:20])
    with pytest.raises(ValueError, match=r"10 steps to fit 9 .* at least 18 are needed, so hold out less"):
        calibrate(table, LLAMA)
    with pytest.raises(ValueError, match=r"a share of 1\.5 cannot be held out"):
        calibrate(table, LLAMA, hold_out=1.5)
    with pytest.raises(ValueError, match="no form 'r6'; did you mean r6b"):
        calibrate(table, LLAMA, form="r6")


@pytest.mark.parametrize("form", ["r6b", "table"])
def test_the_rtx_pro_6000_law_holds_within_5_percent_on_unseen_steps_up_to_4k(form: str) -> None:
    folder = os.environ.get("E80SIM_DATA")
    if not folder:
        pytest.skip("E80SIM_DATA is not set: the raw step times are not part of the repository")
    table = read_step_table(Path(folder, "calibration", "llmservingsim_llama31_8b_rtxpro6000_iteration.csv"))
    fit = calibrate(table, LLAMA, form=form)
    error = fit.error_of("context up to 4k")
    assert error.mape is not None
    assert error.mape <= 0.05
    assert error.steps > 4000
