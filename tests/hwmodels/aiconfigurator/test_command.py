"""`e80sim aiconfigurator` against the package itself, and what it says without it."""

import json
import sys
from pathlib import Path

import pytest
import yaml

from hwmodels.aiconfigurator.kernels import TableKernels
from hwmodels.aiconfigurator.model import llm_of
from hwmodels.entry import load_entry
from hwmodels.gpu_iteration import GpuIteration
from hwmodels.llm import load_llm
from sim.__main__ import main
from tests.support.cli import e80sim

LLAMA_8B = "meta-llama/Meta-Llama-3.1-8B"
A100 = ["--system", "a100_sxm", "--model", LLAMA_8B]
LLAMA = load_llm("llama3.1-8b")


@pytest.fixture(scope="module")
def kernels() -> TableKernels:
    """The smallest tables that the package has."""
    return TableKernels("a100_sxm", LLAMA_8B, LLAMA, "bf16", "bfloat16", 1)


def test_the_law_of_a_gpu_is_near_the_kernels_that_it_was_fitted_to(
    tmp_path: Path, kernels: TableKernels
) -> None:
    out = tmp_path / "a100.yaml"
    result = e80sim("aiconfigurator", [*A100, "--out", str(out), "--json"])
    assert result.exit_code == 0, result.stderr
    fit = json.loads(result.stdout)["fits"][0]
    assert fit["steps"] > 250
    assert fit["median"] < 0.03
    assert fit["p95"] < 0.08
    entry = load_entry(str(out))
    told = next(iter(entry.fits[0].values.values())).source
    assert f"error median {100 * fit['median']:.1f} %" in told
    assert f"max {100 * fit['most']:.1f} %" in told
    # as the catalogue's own entry was made
    assert entry.fits[0].values == load_entry("a100_vllm").fits[0].values
    law = GpuIteration(preset=str(out), t_host_ms=0).build(LLAMA).step_time
    # shapes that the fit has not seen
    for took, timed in (
        (law.step_ps((), 24, 24 * 1500), kernels.decodes(24, 1500)),
        (law.step_ps([(700, 0)], 0, 0), kernels.prompts(1, 700, 0)),
        (law.step_ps([(700, 3000)], 40, 40 * 1500), kernels.mixed(700, 3000, 40, 1500)),
    ):
        assert took / 1e9 == pytest.approx(timed.ms, rel=0.1)


def test_the_last_chunk_of_a_long_prompt_costs_more_than_its_first(kernels: TableKernels) -> None:
    """The package spreads attention over `ceil(isl / ctx_tokens)` steps, with what is cached in `isl`."""
    first, last = kernels.mixed(512, 0, 8, 1024), kernels.mixed(512, 8192, 8, 1024)
    alone = kernels.prompts(1, 512, 8192).ms - kernels.prompts(1, 512, 0).ms
    assert last.ms - first.ms == pytest.approx(alone, rel=1e-6)
    assert alone > 1


def test_two_gpus_share_the_work_of_a_step_and_talk_about_it(kernels: TableKernels) -> None:
    pair = TableKernels("a100_sxm", LLAMA_8B, LLAMA, "bf16", "bfloat16", 2)
    for alone, together in (
        (kernels.decodes(64, 4096), pair.decodes(64, 4096)),
        (kernels.prompts(1, 4096, 0), pair.prompts(1, 4096, 0)),
    ):
        assert alone.ms / 2 < together.ms < alone.ms
    assert pair.decodes(1, 1).dense_ms > kernels.decodes(1, 1).dense_ms / 2


def test_it_knows_the_llm_of_the_catalogue_by_its_facts() -> None:
    assert llm_of(LLAMA_8B).llm.name == "llama3.1-8b"
    assert llm_of("openai/gpt-oss-20b").llm.name == "gpt-oss-20b"


def test_another_llm_gets_a_file_beside_the_entry(tmp_path: Path) -> None:
    out = tmp_path / "node.yaml"
    result = e80sim("aiconfigurator", [*A100[:2], "--model", "Qwen/Qwen3-8B", "--out", str(out)])
    assert result.exit_code == 0, result.stderr
    llm = load_llm(str(tmp_path / "qwen3-8b.yaml"))
    assert (llm.num_hidden_layers, llm.head_dim, llm.num_key_value_heads) == (36, 128, 8)
    assert llm.max_position_embeddings == 40_960
    node = GpuIteration(preset=str(out)).build(llm)
    assert node.max_model_len == 40_960
    assert "of a model with llm: " in result.stderr


def test_without_a_file_the_entry_is_printed_and_the_errors_told_apart() -> None:
    result = e80sim("aiconfigurator", [*A100, "--weights", "int4"])
    assert yaml.safe_load(result.stdout)["settings"] == {"weights": "int4", "kv_cache_dtype": "bfloat16"}
    assert "derived by bytes: weights in int4 from those in bf16" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--system", "a100", "--model", LLAMA_8B], "knows no GPU 'a100'; did you mean a100_sxm"),
        (
            ["--system", "l4", "--model", LLAMA_8B],
            "no kernels measured with vllm on l4: it has them for a100",
        ),
        (["--system", "a100_sxm", "--model", "llama"], "aiconfigurator-core knows no model 'llama'"),
        (
            ["--system", "a100_sxm", "--model", "deepseek-ai/DeepSeek-V3"],
            "has another attention than the law",
        ),
        ([*A100, "--tp", "16"], "--tp 16 is more than the 8 KV heads"),
        ([*A100, "--weights", "int3"], "no weights of llama3.1-8b in 'int3'; did you mean int4?"),
        ([*A100, "--kv-cache-dtype", "fp4"], "no KV cache in 'fp4'; did you mean fp8?"),
        ([*A100, "--form", "r7"], "no form 'r7'"),
        ([*A100, "--out", "x.yml"], "the name of a catalogue file ends in .yaml"),
        ([*A100, "--extends", "a100"], "a100 is of kind roofline, not gpu_iteration"),
        (["--system", "a100_sxm", "--model", "Qwen/Qwen3-8B"], "the catalogue has no qwen3-8b: give --out"),
    ],
)
def test_a_mistake_is_a_sentence(arguments: list[str], sentence: str) -> None:
    result = e80sim("aiconfigurator", arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_without_the_package_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "aiconfigurator_core", None)
    assert main(["aiconfigurator", *A100]) == 2
    assert capsys.readouterr().err == (
        "e80sim: aiconfigurator needs aiconfigurator_core, which is not installed: "
        "pip install 'e80sim[aiconfigurator]'\n"
    )
