"""What `plan --emit vllm` prints: flags that vLLM has, and in words what it has none for."""

from pathlib import Path

import pytest

from e80sim.mistakes import UserError
from sim.__main__ import main
from sim.plan.vllm import commands
from tests.support.study import plan_of

ON_GPU = """\
name: on-gpu
models:
  m:
    id: me/my-llama
    llm: llama3.1-8b
    hardware: {preset: h100_vllm}
    nodes: 3
    context_tokens: 8192
network:
  places: {here: {kind: edge}}
traffic:
  s: {place: here, model: m, arrivals: {kind: poisson, rate_per_s: 4},
    lengths: {prompt: {kind: fixed, tokens: 100}, output: {kind: fixed, tokens: 50}}}
run: {horizon_s: 10, replications: 2}
"""


def emitted(folder: Path, *settings: str) -> str:
    return commands(plan_of(ON_GPU, folder, settings).base)


def test_the_flags_of_a_gpu_node(tmp_path: Path) -> None:
    assert emitted(tmp_path, "models.m.batching={max_num_seqs: 64, enable_prefix_caching: true}") == (
        "# m: 3 nodes of h100_vllm. This starts one.\n"
        "# No flag: who takes a request (least_outstanding) is up to a router before the nodes.\n"
        "# $CHECKPOINT: llama3.1-8b with weights in bf16.\n"
        "# The plan counts on a KV cache of 411,529 tokens: vLLM logs its own.\n"
        "vllm serve $CHECKPOINT --served-model-name me/my-llama \\\n"
        "    --max-num-seqs 64 \\\n"
        "    --max-num-batched-tokens 8192 \\\n"
        "    --max-model-len 8192 \\\n"
        "    --tensor-parallel-size 1 \\\n"
        "    --data-parallel-size 1 \\\n"
        "    --block-size 16 \\\n"
        "    --kv-cache-dtype bfloat16 \\\n"
        "    --gpu-memory-utilization 0.9 \\\n"
        "    --enable-prefix-caching \\\n"
        "    --async-scheduling \\\n"
        "    --enable-chunked-prefill \\\n"
        "    --scheduling-policy fcfs"
    )


def test_a_stated_pool_is_bytes_of_each_gpu(tmp_path: Path) -> None:
    # 160,000 tokens of 32 layers, 8 heads of 128, key and value, a byte each: 65,536 bytes a token.
    fp8 = "models.m.hardware={preset: h100_vllm_fp8, kv_pool_tokens: 160000}"
    assert f"--kv-cache-memory-bytes {160_000 * 65_536} " in emitted(tmp_path, fp8)
    assert "--gpu-memory-utilization" not in emitted(tmp_path, fp8)
    # Two GPUs that share each layer hold half of the heads each.
    both = "models.m.hardware={preset: h100, kv_pool_tokens: 160000, tensor_parallel: 2}"
    assert f"--kv-cache-memory-bytes {160_000 * 65_536} " in emitted(tmp_path, both)
    assert "--tensor-parallel-size 2" in emitted(tmp_path, both)
    assert "3 nodes of h100, 2 GPUs each" in emitted(tmp_path, both)


def test_ranks_that_share_experts(tmp_path: Path) -> None:
    moe = emitted(tmp_path, "models.m.llm=gpt-oss-20b", "models.m.hardware={preset: h100, data_parallel: 4}")
    assert "--data-parallel-size 4 \\\n    --enable-expert-parallel" in moe
    assert "--no-async-scheduling" in moe


def test_what_has_no_flag_is_said(tmp_path: Path) -> None:
    text = emitted(
        tmp_path,
        "models.m.batching={queue: fair, watermark: 0.05, prefill: whole}",
        "models.m.limits={requests_per_minute: 60}",
    )
    assert "# No flag: queue fair." in text
    assert "# No flag: batching.watermark 0.05." in text
    assert "# No flag: limits, which stands before the engine." in text
    assert "--scheduling-policy" not in text
    assert "--no-enable-chunked-prefill" in text


def test_other_engines_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="hc1, a hardwired_asic, and vLLM does not run on that"):
        emitted(tmp_path, "models.m.hardware={preset: hc1, kv_pool_tokens: 9000}")
    with pytest.raises(UserError, match="admission is static, and vLLM admits at any step"):
        emitted(tmp_path, "models.m.batching={admission: static}")
    file = tmp_path / "scenario.yaml"
    file.write_text(
        ON_GPU.replace("preset: h100_vllm", "preset: hc1, kv_pool_tokens: 9000"), encoding="utf-8"
    )
    asked = ("--objective", "e2e_p95_ms<=900", "--vary", "models.m.nodes=1:2", "--emit", "vllm")
    assert main(["plan", str(file), *asked]) == 2  # before anything is simulated
    assert "vLLM does not run on that" in capsys.readouterr().err
