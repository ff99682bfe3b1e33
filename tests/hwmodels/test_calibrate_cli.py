"""`e80sim calibrate`: its report, and an entry that a scenario loads and that gives the fitted law."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter

from hwmodels.entry import load_entry
from hwmodels.gpu_iteration import GpuIteration
from hwmodels.hardware import Hardware
from hwmodels.llm import load_llm
from hwmodels.step_time import AffineStepTime
from sim.validation.bare_node import bare_node
from tests.support.cli import e80sim

CARD = ["--memory-gb", "96"]
OF = "of a model with llm: llama3.1-8b"
LLAMA = load_llm("llama3.1-8b")
# 5 ms whatever it holds, 0.02 ms a token, 1e-6 ms a pair, 1e-4 ms a KV token (half as much again when mixed)
LAW = AffineStepTime(
    dense_ps=tuple(5_000_000_000 + 20_000_000 * tokens for tokens in range(2200)),
    pair_ps=1000,
    kv_ps=100_000,
    mixed_kv_ps=150_000,
    prefill_tile_tokens=64,
)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rows = [
        f"{new},{past},{decodes},{context},{_ms(new, past, decodes, context)}"
        for new in (0, 32, 256, 2048)
        for past in (0, 4096)
        for decodes in (0, 1, 32, 100)
        for context in (100, 3000)
        if new + decodes and (new or not past)
    ]
    path = tmp_path / "card.csv"
    path.write_text("\n".join(["prefill_chunk,kv_prefill,n_decode,kv_decode,iteration_ms", *rows]), "utf-8")
    return path


def _ms(new: int, past: int, decodes: int, context: int) -> float:
    return LAW.step_ps([(new, past)] if new else [], decodes, decodes * context) / 1e9


@pytest.mark.parametrize("form", ["r6b", "table", "kernels"])
def test_the_entry_it_writes_gives_the_steps_of_the_table(table: Path, form: str) -> None:
    out = table.with_name(f"{form}.yaml")
    result = e80sim(
        "calibrate",
        [str(table), "--form", form, "--out", str(out), "--host-ms", "0", "--holdout", "0.2", *CARD],
    )
    assert result.exit_code == 0, result.stderr
    spec = GpuIteration.model_validate({"preset": str(out)})
    node = spec.build(LLAMA, max_num_batched_tokens=2048)
    for new, past, decodes, context in ((0, 0, 32, 3000), (2048, 0, 0, 0), (256, 4096, 1, 100)):
        step_ms = node.step_time.step_ps([(new, past)] if new else [], decodes, decodes * context) / 1e9
        assert step_ms == pytest.approx(_ms(new, past, decodes, context), rel=0.01)


def test_a_scenario_finds_the_entry_beside_itself(table: Path) -> None:
    assert e80sim("calibrate", [str(table), "--out", str(table.with_name("card.yaml")), *CARD]).exit_code == 0
    context = {"folder": table.parent}
    hardware = TypeAdapter[Any](Hardware).validate_python({"preset": "./card.yaml"}, context=context)
    assert isinstance(hardware, GpuIteration)
    assert hardware.entry().title == "card, fitted to card.csv"


def test_every_fitted_value_has_a_source_and_is_derived(table: Path) -> None:
    out = table.with_name("card.yaml")
    assert e80sim("calibrate", [str(table), "--out", str(out), "--name", "My card", *CARD]).exit_code == 0
    entry = load_entry(str(out))
    assert entry.title == "My card, fitted to card.csv"
    assert entry.note is not None
    assert "up to 2048 prompt tokens, 100 decodes and contexts of 6144 tokens" in entry.note
    fit = entry.fit("llama3.1-8b", "bf16")
    assert fit is not None
    assert len(fit.values) == 9
    for value in fit.values.values():
        assert value.confidence == "derived"
        assert "fit of 54 steps in card.csv" in value.source
    # host time that nobody stated is the generic entry's
    assert entry.values["t_host_ms"].value == 0.5


def test_terms_that_trade_off_get_the_range_of_each_alone(table: Path) -> None:
    out = table.with_name("card.yaml")
    result = e80sim("calibrate", [str(table), "--out", str(out), "--json", *CARD])
    told = {c["name"]: c for c in json.loads(result.stdout)["coefficients"]}
    values = yaml.safe_load(out.read_text("utf-8"))["fits"][0]["values"]
    for name, coefficient in told.items():
        if coefficient["alone"] is None:
            assert "low" not in values[name]
        else:
            assert coefficient["low"] <= coefficient["alone"][0] <= coefficient["value"]
            assert values[name]["low"] == pytest.approx(coefficient["alone"][0], rel=1e-2, abs=1e-3)


def test_the_report_shows_coefficients_intervals_and_errors(table: Path) -> None:
    result = e80sim("calibrate", [str(table)])
    assert result.exit_code == 0
    assert "card.csv: 54 steps of llama3.1-8b in bf16, form r6b" in result.stdout
    assert "95 % interval" in result.stdout
    assert "Held-out error" in result.stdout
    assert "decodes only" in result.stdout


def test_prompts_that_the_table_lacks_are_asked_of_the_scenario(table: Path) -> None:
    lines = table.read_text("utf-8").splitlines()
    decodes = [f"0,0,{n},{c},{_ms(0, 0, n, c)}" for n in (1, 2, 4, 8, 16, 64) for c in (10, 500, 2000)]
    table.write_text("\n".join([lines[0], *decodes]), "utf-8")
    out = table.with_name("decodes.yaml")
    result = e80sim("calibrate", [str(table), "--out", str(out), "--holdout", "0", *CARD])
    assert result.exit_code == 0, result.stderr
    assert "Warning: ms_per_attn_pair has no effect on any step" in result.stdout
    with pytest.raises(ValueError, match=r"decodes has no ms_per_attn_pair: state it"):
        GpuIteration(preset=str(out)).build(LLAMA)
    assert "no step of the table shows ms_per_attn_pair, so state what it is and use it as" in result.stderr
    assert "hardware: {preset: ./decodes.yaml, ms_per_attn_pair: YOURS}" in result.stderr
    GpuIteration(preset=str(out), ms_per_attn_pair=1e-6).build(LLAMA)


@pytest.mark.parametrize(
    ("options", "use", "hardware"),
    [
        (CARD, f"{{preset: ./card.yaml}} {OF}\n", {}),
        (["--extends", "h100_vllm", "--memory-gb", "80"], f"{{preset: ./card.yaml}} {OF}\n", {}),
        (
            [*CARD, "--weights", "fp8"],
            f"{{preset: ./card.yaml, weights: fp8}} {OF}\n",
            {"weights": "fp8"},
        ),
    ],
    ids=["memory", "extends", "weights"],
)
def test_what_it_says_about_use_is_true(
    table: Path, options: list[str], use: str, hardware: dict[str, str]
) -> None:
    out = table.with_name("card.yaml")
    result = e80sim("calibrate", [str(table), "--out", str(out), *options])
    assert result.stderr == f"wrote {out}: use it as hardware: {use}"
    requests = table.with_name("requests.csv")
    requests.write_text("input_toks,output_toks,arrival_s,ttft_ms\n500,20,0,50\n")
    stated = [word for name, value in hardware.items() for word in (f"--{name}", value)]
    validated = e80sim("validate", [str(requests), "--hardware", str(out), *stated])
    assert validated.exit_code == 0, validated.stderr
    server = bare_node({"preset": str(out), **hardware}, context_tokens=4096)
    assert server.models["model"].build_hardware().kv_pool_tokens > 4096


def test_a_kv_pool_is_taken_as_stated_and_memory_replaces_the_pool_of_another_card(table: Path) -> None:
    first, second = table.with_name("first.yaml"), table.with_name("second.yaml")
    stated = ["--kv-pool-tokens", "12345"]
    assert e80sim("calibrate", [str(table), "--out", str(first), *stated]).exit_code == 0
    assert GpuIteration(preset=str(first)).build(LLAMA).kv_pool_tokens == 12345
    extended = ["--extends", str(first), "--out", str(second)]
    assert e80sim("calibrate", [str(table), *extended, *CARD]).exit_code == 0
    # (96 x 0.9 - 2) GB less 16.06 of weights, over 131,072 bytes a token
    assert GpuIteration(preset=str(second)).build(LLAMA).kv_pool_tokens == pytest.approx(521_400, rel=2e-3)


def test_a_card_too_small_for_the_llm_leaves_no_file(table: Path) -> None:
    out = table.with_name("card.yaml")
    result = e80sim("calibrate", [str(table), "--out", str(out), "--memory-gb", "8"])
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert "llama3.1-8b in bf16 does not fit" in result.stderr
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--llm", "llama3.1-9b"], "e80sim: no LLM 'llama3.1-9b'; did you mean llama3.1-8b?"),
        (["--weights", "fp9"], "e80sim: no weights of llama3.1-8b in 'fp9'; did you mean fp8"),
        (["--form", "r7"], "e80sim: no form 'r7'; "),
        (["--where", "gpu"], "e80sim: --where gpu: write it as NAME=VALUE"),
        (["--out", "x.yml"], "e80sim: --out x.yml: the name of a catalogue file ends in .yaml"),
        (["--out", "/nowhere/x.yaml", *CARD], "e80sim: cannot write /nowhere/x.yaml: No such file"),
        (["--out", "x.yaml"], "e80sim: neither steps nor requests tell of the memory, and nobody"),
        (
            ["--out", "x.yaml", "--extends", "h100_vllm"],
            "e80sim: neither steps nor requests tell of the memory (h100_vllm has 80, perhaps of",
        ),
        (["--out", "x.yaml", "--extends", "h100"], "e80sim: h100 is of kind roofline"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(table: Path, options: list[str], sentence: str) -> None:
    result = e80sim("calibrate", [str(table), *options])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith(sentence)
    assert ("give --memory-gb or --kv-pool-tokens" in result.stderr) == ("neither steps" in sentence)
    assert result.stderr.count("\n") == 1


def test_steps_of_one_of_two_gpus_count_as_such(table: Path) -> None:
    out = table.with_name("two.yaml")
    options = [str(table), "--tensor-parallel", "2", "--out", str(out), "--host-ms", "0", "--holdout", "0"]
    result = e80sim("calibrate", [*options, *CARD])
    assert result.exit_code == 0, result.stderr
    assert "hardware: {preset: ./two.yaml, link: YOURS}" in result.stderr
    entry = load_entry(str(out))
    assert (entry.settings.tensor_parallel, entry.fits[0].tensor_parallel) == (2, 2)
    free = {"preset": str(out), "link_bandwidth_gb_per_s": 1e9, "link_latency_us": 0}
    node = GpuIteration.model_validate(free).build(LLAMA, max_num_batched_tokens=2048)
    assert node.gpus == 2
    assert node.step_time.step_ps((), 100, 300_000) == pytest.approx(LAW.step_ps((), 100, 300_000), rel=0.03)


def test_gpus_that_cannot_share_the_heads_were_not_timed(table: Path) -> None:
    result = e80sim("calibrate", [str(table), "--tensor-parallel", "3"])
    assert result.exit_code == 2
    assert "tensor_parallel 3 does not suit llama3.1-8b" in result.stderr
