#!/usr/bin/env bash
# aiconfigurator-core 0.12.0: by its kernel tables, block-scaled FP8 (`fp8_block`, as DeepSeek's and Qwen's FP8 checkpoints
# are) makes a decode step on vLLM slower than BF16, although its weights are half as large: 1.5 x on one H100 and 8.8 x on
# one B200 for Llama-3.1-8B and one sequence, where the tables for SGLang show it faster on both. A plan that reasons by
# bytes, or takes one engine's speed-up for the other's, is wrong by the whole factor.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check aiconfigurator-core==0.12.0
told=$("$folder/venv/bin/python" - <<'PY'
from aiconfigurator_core.sdk.engine import EngineHandle

def step_ms(system, engine, weights):
    handle = EngineHandle.compile("meta-llama/Meta-Llama-3.1-8B", system, engine, gemm_quant_mode=weights)
    return round(handle.decode_step_latency(1, 1000, 128), 1)

for system in ("h100_sxm", "b200_sxm"):
    for engine in ("vllm", "sglang"):
        print(system, engine, *(step_ms(system, engine, weights) for weights in ("bfloat16", "fp8_block")))
PY
)
echo "$told"
[ "$told" = "$(printf '%s\n' 'h100_sxm vllm 6.2 9.3' 'h100_sxm sglang 6.6 4.4' 'b200_sxm vllm 3.5 30.7' 'b200_sxm sglang 3.5 2.9')" ]
