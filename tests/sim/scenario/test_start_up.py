"""What vLLM refuses to start with is refused of GPU nodes, with the place and what would be right."""

from pathlib import Path

import pytest

from sim.scenario.load import load
from sim.scenario.schema import Model
from sim.scenario.source_map import ScenarioError
from tests.support.cli import e80sim

GPU = """name: gpu
models:
  llama:
    id: llama
    llm: llama3.1-8b
    hardware: {preset: h100_vllm, kv_pool_tokens: 10000}
    context_tokens: 8000
    batching: {max_num_seqs: 64}
network: {places: {here: {kind: custom, rtt_ms: 1}}}
traffic:
  chat:
    place: here
    model: llama
    arrivals: {kind: poisson, rate_per_s: 1}
    lengths: {prompt: {kind: fixed, tokens: 80}, output: {kind: fixed, tokens: 20}}
run: {horizon_s: 10, replications: 1}
"""
BATCHING = "{max_num_seqs: 64}"
ASIC = (
    "{kind: hardwired_asic, prefill_ms_per_token: 1, decode_step_ms: 10, max_concurrent_sequences: 8, "
    "kv_pool_tokens: 10000}"
)


def model(tmp_path: Path, *changes: tuple[str, str]) -> Model:
    text = GPU
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    path = tmp_path / "gpu.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path).base.models["llama"]


REFUSED = [
    (
        "{max_num_seqs: 64, max_num_batched_tokens: 63}",
        8,
        "max_num_batched_tokens (63) is below max_num_seqs (64), and vLLM starts only where a step has a",
        "raise max_num_batched_tokens to 64, or lower max_num_seqs to 63",
    ),
    (  # The default of 8,192 is kept where only the sequences are stated.
        "{max_num_seqs: 8193}",
        8,
        "max_num_batched_tokens (8,192) is below max_num_seqs (8,193), and vLLM",
        "lower max_num_seqs to 8,192",
    ),
    (
        "{prefill: whole, max_num_batched_tokens: 8999, max_model_len: 9000}",
        8,
        "whole prompts of up to 9,000 tokens, the context of `llama`, do not fit a step of 8,999: raise",
        "max_num_batched_tokens, lower max_model_len, or prefill in chunks",
    ),
    (
        "{max_model_len: 10001}",
        8,
        "a sequence of max_model_len (10,001 tokens) does not fit the KV pool of `llama`, 10,000 tokens,",
        "and vLLM starts only where one does: lower max_model_len to 10,000, or raise the pool",
    ),
    (
        "{max_model_len: 7999}",
        7,
        "requests of up to 8,000 tokens pass the gateway, and a node of `llama` takes 7,999",
        "lower context_tokens, or raise max_model_len",
    ),
    (
        "{max_model_len: 131073}",
        8,
        "max_model_len (131,073) is above the 131,072 positions of llama3.1-8b (max_position_embeddings),",
        "and vLLM does not start: lower it to 131,072",
    ),
]


@pytest.mark.parametrize(("batching", "line", "what", "remedy"), REFUSED)
def test_a_node_refuses_to_start_as_vllm_does(
    tmp_path: Path, batching: str, line: int, what: str, remedy: str
) -> None:
    with pytest.raises(ScenarioError) as told:
        model(tmp_path, (BATCHING, batching))
    assert f"gpu.yaml:{line}: {what}" in str(told.value)
    assert remedy in str(told.value)


@pytest.mark.parametrize(
    "batching",
    [
        "{max_num_seqs: 64, max_num_batched_tokens: 64}",
        "{max_model_len: 10000}",
        "{prefill: whole, max_num_batched_tokens: 9000, max_model_len: 9000}",
    ],
)
def test_at_each_bound_it_starts(tmp_path: Path, batching: str) -> None:
    assert model(tmp_path, (BATCHING, batching)).build_hardware().kv_pool_tokens == 10_000


def test_sequences_that_nobody_stated_give_way_to_a_small_budget(tmp_path: Path) -> None:
    """As in vLLM: `min(max_num_seqs, max_num_batched_tokens)`, of a default of 1,024."""
    started = model(tmp_path, (BATCHING, "{max_num_batched_tokens: 512}")).build_hardware()
    assert (started.max_num_seqs, started.max_num_batched_tokens) == (512, 512)


@pytest.mark.parametrize(("longest", "budget"), [(8000, 8192), (9000, 9000)])
def test_a_budget_that_nobody_stated_holds_the_longest_whole_prompt(
    tmp_path: Path, longest: int, budget: int
) -> None:
    """As in vLLM without chunked prefill: `max(max_model_len, default)`."""
    started = model(tmp_path, (BATCHING, f"{{prefill: whole, max_model_len: {longest}}}")).build_hardware()
    assert started.max_num_batched_tokens == budget


def test_an_entry_of_the_catalogue_states_the_longest_sequence_where_the_scenario_does_not(
    tmp_path: Path,
) -> None:
    entry = "{value: 8001, source: as sold, confidence: assumed}"
    (tmp_path / "node.yaml").write_text(
        "kind: gpu_iteration\ntitle: as sold\nextends: h100_vllm\nfits:\n"
        f"  - {{llm: llama3.1-8b, weights: bf16, values: {{{TERMS}}}}}\nvalues: {{max_model_len: {entry}}}\n",
        encoding="utf-8",
    )
    sold = ("h100_vllm", "./node.yaml")
    asked = model(tmp_path, sold, (BATCHING, "{max_num_seqs: 64}"))
    assert asked.max_model_len(asked.build_hardware()) == 8001
    stated = model(tmp_path, sold, (BATCHING, "{max_model_len: 8002}"))
    assert stated.max_model_len(stated.build_hardware()) == 8002
    with pytest.raises(ScenarioError, match="a node of `llama` takes 8,001"):
        model(tmp_path, sold, ("context_tokens: 8000", "context_tokens: 8002"))


TERM = "{value: 1, source: a guess, confidence: assumed}"
TERMS = ", ".join(
    f"{name}: {TERM}"
    for name in (
        "t_fixed_ms",
        "t_weights_ms",
        "ms_per_token",
        "p_norm",
        "ms_per_attn_pair",
        "ms_per_kv_token",
        "ms_per_sequence",
    )
)


def test_check_tells_how_many_of_the_longest_sequences_a_node_holds(tmp_path: Path) -> None:
    """10,000 of 4,000 tokens; nothing where no limit of the node is stated."""
    path = tmp_path / "gpu.yaml"
    path.write_text(GPU.replace("context_tokens: 8000", "context_tokens: 4000"), encoding="utf-8")
    assert "sequences of max_model_len" not in e80sim("check", [str(path)]).stdout
    told = e80sim("check", [str(path), "--set", "models.llama.batching.max_model_len=4000"]).stdout
    assert (
        "Note: a node of `llama` with 64 places holds 2.5 sequences of max_model_len (4,000 tokens) in a KV "
        "pool of 10,000 tokens.\n"
    ) in told


def test_check_says_up_to_which_load_a_preset_was_held_against_measurements(tmp_path: Path) -> None:
    path = tmp_path / "gpu.yaml"
    path.write_text(GPU, encoding="utf-8")
    told = e80sim("check", [str(path)]).stdout
    assert told.count("Note: How far h100_vllm is known: ") == 1
    assert "within 3 % in E2E up to 8 requests/s a GPU" in told
    # gpt-oss-20b was never measured there, and an entry that extends another has no measurement of its own
    others = ["models.llama.llm=gpt-oss-20b", "models.llama.hardware={preset: h100_vllm_fp8}"]
    for setting in others:
        result = e80sim("check", [str(path), "--set", setting])
        assert (result.exit_code, "How far" in result.stdout) == (0, False)


def test_a_chip_that_runs_no_vllm_may_carry_more_sequences_than_a_step_has_tokens(tmp_path: Path) -> None:
    gpu = "{preset: h100_vllm, kv_pool_tokens: 10000}"
    chip = model(
        tmp_path, (gpu, ASIC), (BATCHING, "{max_num_batched_tokens: 1}"), ("llama3.1-8b", "gpt-oss-20b")
    )
    built = chip.build_hardware()
    assert (built.max_num_seqs, built.max_num_batched_tokens) == (8, 1)
