#!/usr/bin/env bash
# aiconfigurator-core 0.12.0: by its tables for vLLM two GPUs of a GB200 take twice as long for an all-reduce as four of them, and
# longer than two of an H100, whose links have half the bandwidth: 25 ms of a prefill of 8,192 tokens of Llama-3.1-8B, 13 ms at four.
# Bytes and links say the contrary, and so do its tables for SGLang on the same GPUs: 10 and 12 ms. A plan that weighs two against
# four, or one engine against the other, on that system weighs this. Nothing in the answer marks it.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check aiconfigurator-core==0.12.0
told=$("$folder/venv/bin/python" 2> "$folder/errors" - <<'PY'
from aiconfigurator_core.sdk.engine import EngineHandle

for system in ("h100_sxm", "gb200"):
    for backend in ("vllm", "sglang"):
        spent = []
        for gpus in (2, 4):
            handle = EngineHandle.compile(
                "meta-llama/Meta-Llama-3.1-8B", system, backend, tp_size=gpus, gemm_quant_mode="bfloat16"
            )
            kernels, _ = handle.run_static_per_op(batch_size=1, isl=8192, osl=1, prefix=0)
            spent.append(sum(ms for name, ms, *_ in kernels if "ar" in name.split("_")))
        print(system, backend, *(f"{ms:.0f}" for ms in spent), "ms of all-reduce at 2 and 4 GPUs")
PY
)
echo "$told"
[ "$told" = "$(printf '%s ms of all-reduce at 2 and 4 GPUs\n' 'h100_sxm vllm 20 21' 'h100_sxm sglang 16 21' 'gb200 vllm 25 13' 'gb200 sglang 10 12')" ]
