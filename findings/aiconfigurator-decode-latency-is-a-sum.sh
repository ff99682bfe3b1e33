#!/usr/bin/env bash
# aiconfigurator-core 0.12.0: `predict_decode_latency(bs, isl, osl)` is not the time of a token but of all osl - 1 steps
# after the first one. Its default, osl=2, happens to be one step, so it passes for a TPOT until an output length is
# given: 785 ms for 128 tokens, and 0 for one. The step itself is `decode_step_latency`.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check aiconfigurator-core==0.12.0
told=$("$folder/venv/bin/python" - <<'PY'
from aiconfigurator_core.sdk.engine import EngineHandle

handle = EngineHandle.compile("meta-llama/Meta-Llama-3.1-8B", "h100_sxm", "vllm")
print("predicted:", *(round(handle.predict_decode_latency(1, 1000, osl), 1) for osl in (1, 2, 3, 128)))
print("one step:", round(handle.decode_step_latency(1, 1000, 128), 1))
PY
)
echo "$told"
[ "$told" = "$(printf 'predicted: 0.0 6.2 12.4 785.2\none step: 6.2')" ]
