#!/usr/bin/env bash
# llm-analysis 0.2.2: the operations of a layer's MLP are 16 x tokens x hidden size squared, whatever the MLP is. One four times as
# wide has four times the weights and the same operations, and two active experts of eight cost what one costs. The count is right
# for an MLP of 4 x hidden size without a gate. Llama 3's (3.5 x, gated) takes 21 instead of 16, Mixtral's two experts 42: the
# prefill of such a model comes out that much too fast where compute bounds it.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps llm-analysis==0.2.2 fire==0.7.1 termcolor==3.2.0
cat > "$folder/ask.py" <<'PY'
import dataclasses
import logging

logging.disable(logging.CRITICAL)
from llm_analysis.analysis import LLMAnalysis
from llm_analysis.config import get_dtype_config_by_name, get_gpu_config_by_name, get_model_config_by_name

MODEL = get_model_config_by_name("NousResearch_Llama-2-7b-hf")
GPU, DTYPE = get_gpu_config_by_name("a100-sxm-80gb"), get_dtype_config_by_name("w16a16e16")

for name, changed in (("as it is", {}), ("MLP 4 x as wide", {"ffn_embed_dim": 4 * MODEL.ffn_embed_dim}),
                      ("2 of 8 experts", {"moe_num_experts": 8, "moe_top_k": 2})):
    analysis = LLMAnalysis(dataclasses.replace(MODEL, **changed), GPU, DTYPE)
    gigaflop = analysis.get_num_flops_fwd_per_layer_mlp(batch_size=1, seq_len=1000) / 1e9
    print(f"{name}: {analysis.get_num_params_per_layer_mlp() / 1e6:.0f} M weights, {gigaflop:.0f} Gflop in 1,000 tokens")
PY
told=$(cd "$folder" && venv/bin/python ask.py)
echo "$told"
[ "$told" = "$(printf '%s\n' 'as it is: 134 M weights, 268 Gflop in 1,000 tokens' 'MLP 4 x as wide: 537 M weights, 268 Gflop in 1,000 tokens' '2 of 8 experts: 1074 M weights, 268 Gflop in 1,000 tokens')" ]
