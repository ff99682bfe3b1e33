"""A law fitted to requests: what made them comes back, and what they cannot tell is said."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from e80sim.measured import MeasuredRequest, MeasuredRequests
from hwmodels.calibrate.requests.course import Stamps, course, prompt_steps_ms
from hwmodels.calibrate.requests.fit import RequestFit, fit_requests
from hwmodels.dense import GemmTiles, SmoothRoofline
from hwmodels.gpu_step import GpuStep
from hwmodels.llm import load_llm
from sim.validation.bare_node import bare_node
from sim.validation.recorded import RecordedRequests
from sim.validation.replay import replay
from tests.support.cli import e80sim

LLAMA = load_llm("llama3.1-8b")
BUDGET = 8192
LAW = GpuStep(
    fixed_ms=0,
    dense=SmoothRoofline(weights_ms=10.0, dense_share=1, token_ms=0.04, p_norm=2),
    pair_ms=1e-6,
    kv_token_ms=6e-5,
    mixed_kv_multiplier=1.0,
    sequence_ms=0.002,
    prefill_tile_tokens=0,
)
FRONT_END_MS = 4.0


def served(
    rate: float,
    seconds: float,
    *,
    seed: int,
    weights: float = 1.0,
    token: float = 1.0,
    mixed: float = 1.0,
    tile: int = 0,
    longest: int = 1200,
) -> MeasuredRequests:
    """What the simulator answers as a server of `LAW` times these factors, without scheduling ahead."""
    rng = np.random.default_rng(seed)
    number = int(rate * seconds)
    arrival_ps = np.cumsum(rng.exponential(1e12 / rate, number)).astype(np.int64)
    prompts, outputs = rng.integers(longest * 3 // 4, longest, number), rng.integers(30, 120, number)
    hardware = {
        "kind": "gpu_iteration",
        "t_fixed_ms": 0,
        "t_host_ms": 0,
        "t_weights_ms": 10.0 * weights,
        "ms_per_token": 0.04 * token,
        "p_norm": 2,
        "ms_per_attn_pair": 1e-6,
        "ms_per_kv_token": 6e-5,
        "ms_per_sequence": 0.002,
        "prefill_tile_tokens": 0,
        "mixed_kv_multiplier": mixed,
        "gemm_tile_tokens": tile,
        "kv_pool_tokens": 400_000,
    }
    batching = {"max_num_seqs": 128, "max_num_batched_tokens": BUDGET}
    server = bare_node(hardware, context_tokens=2000, batching=batching)
    recorded = RecordedRequests(
        "made", tuple(arrival_ps.tolist()), tuple(prompts.tolist()), tuple(outputs.tolist()), {}
    )
    simulated = replay(server, recorded).simulated_ms
    rows = [
        MeasuredRequest(
            arrival_s=float(at_ps) / 1e12,
            input_tokens=int(prompt),
            output_tokens=int(output),
            ttft_ms=float(ttft) + FRONT_END_MS,
            e2e_ms=float(e2e) + FRONT_END_MS,
        )
        for at_ps, prompt, output, ttft, e2e in zip(
            arrival_ps, prompts, outputs, simulated["ttft"], simulated["e2e"], strict=True
        )
    ]
    return MeasuredRequests(f"{rate:g}rps", "columns", tuple(rows))


def values_of(fit: RequestFit) -> dict[str, float]:
    return {told.name: told.value for told in fit.decoding.told}


def test_two_answers_side_by_side_are_read_as_their_steps() -> None:
    """The first has its first token at 100 ms, the second joins at 150; both make a token every 10 ms."""
    stamps = Stamps(
        arrival=np.array([0.0, 120.0]),
        first=np.array([100.0, 150.0]),
        last=np.array([200.0, 190.0]),
        prompt=np.array([50.0, 70.0]),
        output=np.array([11.0, 5.0]),
    )
    read = course(stamps)
    assert read.begin.tolist() == [1, 2]
    assert read.end.tolist() == [2, 2]
    assert read.prompt_steps.new_tokens.tolist() == [50, 70]
    assert read.prompt_steps.decodes.tolist() == [0, 1]
    # tokens beside the first: 10 of its own and 4 of the other; beside the second 4 and 4
    assert read.decoded.tolist() == pytest.approx([14, 8])
    # each token reads what is cached: the mean of its answer, 50 + 5 and 70 + 2, beside the second 50 + 7
    assert read.kv_read.tolist() == pytest.approx([10 * 55 + 4 * 72, 4 * 57 + 4 * 72])
    assert read.prompt_steps.kv_tokens[1] == pytest.approx(55, abs=0.05)


def test_the_law_of_a_prompt_step_is_that_of_the_nodes() -> None:
    law = replace(LAW, mixed_kv_multiplier=2.0, prompts_ms=0.5, tiles=GemmTiles(128))
    stamps = Stamps(
        np.zeros(3),
        np.array([10.0, 50.0, 50.1]),
        np.full(3, 90.0),
        np.array([40.0, 300.0, 500.0]),
        np.full(3, 9.0),
    )
    rows = course(stamps).prompt_steps
    expected = law.law(LLAMA, BUDGET).step_ps([(300, 0), (500, 0)], 1, 1000) / 1e9
    counted = replace(rows, kv_tokens=np.array([0.0, 1000.0]))
    assert prompt_steps_ms(law, LLAMA, counted, BUDGET)[1] == pytest.approx(expected, rel=1e-6)


@pytest.fixture(scope="module")
def two_rates() -> list[MeasuredRequests]:
    return [
        served(rate, 80, seed=seed, weights=0.95, token=1.06, mixed=2.0, tile=128)
        for seed, rate in enumerate((4, 14))
    ]


def test_what_made_the_requests_comes_back(two_rates: list[MeasuredRequests]) -> None:
    fit = fit_requests(replace(LAW, tiles=GemmTiles(128)), LLAMA, two_rates, BUDGET)
    assert values_of(fit) == pytest.approx(
        {"weights_factor": 0.95, "token_factor": 1.06, "mixed_kv_multiplier": 2.0}, rel=0.03
    )
    assert fit.decoding.error < 0.003
    assert fit.decoding.error_before > 0.02
    assert fit.tiles_told
    first = fit.first_tokens
    assert first.async_scheduling is False
    assert first.front_end_ms[False].value == pytest.approx(FRONT_END_MS, abs=0.4)
    assert first.launch_ms[False].value == pytest.approx(0, abs=0.4)


def test_intervals_hold_what_made_the_requests(two_rates: list[MeasuredRequests]) -> None:
    fit = fit_requests(replace(LAW, tiles=GemmTiles(128)), LLAMA, two_rates, BUDGET)
    truth = {"weights_factor": 0.95, "token_factor": 1.06, "mixed_kv_multiplier": 2.0}
    for told in fit.decoding.told:
        slack = 0.01 * truth[told.name]  # of reading steps from stamps alone
        assert told.low - slack <= truth[told.name] <= told.high + slack
        assert told.high - told.low < 0.2 * truth[told.name]
    front = fit.first_tokens.front_end_ms[False]
    assert front.low - 0.2 <= FRONT_END_MS <= front.high + 0.2


def test_what_one_low_rate_cannot_tell_is_said() -> None:
    fit = fit_requests(LAW, LLAMA, [served(2, 150, seed=3, mixed=2.0)], BUDGET)
    assert fit.decoding.unseen == ("mixed_kv_multiplier",)
    assert "mixed_kv_multiplier is not told: answers do not change with it" in fit.warnings


def test_steps_below_the_first_edge_do_not_tell_of_tiles() -> None:
    fit = fit_requests(LAW, LLAMA, [served(3, 60, seed=4, longest=60)], BUDGET)
    assert not fit.tiles_told
    assert any("tiles of 128 tokens are not told: the error is" in warning for warning in fit.warnings)


def test_files_without_a_first_token_are_refused() -> None:
    rows = (MeasuredRequest(0.0, 10, 5, e2e_ms=9.0),)
    with pytest.raises(ValueError, match="x has no request with sizes, TTFT and E2E"):
        fit_requests(LAW, LLAMA, [MeasuredRequests("x", "columns", rows)], BUDGET)
    rows = (MeasuredRequest(0.0, 10, 5, ttft_ms=5.0, e2e_ms=9.0),)
    with pytest.raises(ValueError, match="1 answers of two tokens and more are too few"):
        fit_requests(LAW, LLAMA, [MeasuredRequests("x", "columns", rows)], BUDGET)


def test_the_entry_it_writes_has_the_law_of_the_requests(
    tmp_path: Path, two_rates: list[MeasuredRequests]
) -> None:
    files = []
    for measured in two_rates:
        files.append(tmp_path / f"{measured.name}.csv")
        lines = [
            f"{row.input_tokens},{row.output_tokens},{row.arrival_s:.9f},{row.ttft_ms},{row.e2e_ms}"
            for row in measured.rows
        ]
        header = "input_toks,output_toks,arrival_s,ttft_ms,e2e_ms"
        files[-1].write_text("\n".join([header, *lines]), "utf-8")
    options = [word for file in files for word in ("--requests", str(file))]
    out = tmp_path / "mine.yaml"
    target = ["--extends", "h100_vllm", "--memory-gb", "80", "--gemm-tile-tokens", "128", "--out", str(out)]
    result = e80sim("calibrate", [*options, *target, "--json", "--max-num-batched-tokens", str(BUDGET)])
    assert result.exit_code == 0, result.stderr
    assert "use it as hardware: {preset: ./mine.yaml}" in result.stderr
    told = {one["name"]: one for one in json.loads(result.stdout)["requests"]["values"]}
    values = yaml.safe_load(out.read_text("utf-8"))["fits"][0]["values"]
    factor = told["weights_factor"]["value"]
    assert values["t_weights_ms"]["value"] == pytest.approx(6.5706 * factor, rel=1e-4)
    assert values["mixed_kv_multiplier"]["value"] == pytest.approx(
        told["mixed_kv_multiplier"]["value"], rel=1e-4
    )
    assert values["gemm_tile_tokens"]["value"] == 128
    assert values["t_host_ms"]["value"] == 0
    assert "requests in 4rps.csv, 14rps.csv" in values["t_weights_ms"]["source"]


def test_nothing_to_fit_to_is_one_sentence() -> None:
    result = e80sim("calibrate", [])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "e80sim: nothing to fit to: give a TABLE of steps, or --requests FILE\n"
