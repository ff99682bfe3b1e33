#!/usr/bin/env bash
# mvllm 0.1.0: a server with five requests in its queue counts as one without any, once it is a vLLM of 0.33. The router finds
# its metrics by how lines begin, and `vllm:num_requests_waiting_by_reason` begins like `vllm:num_requests_waiting`: the last such
# line wins. That is a part of those who wait, and where it is the one of reason "deferred", nearly always 0: then all busy
# servers look alike, whatever waits there. It also looks for `vllm:gpu_cache_usage_perc`, which vLLM calls
# `kv_cache_usage_perc` by now, and takes its absence for an empty cache.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mvllm==0.1.0
cat > "$folder/read.py" <<'PY'
from loguru import logger

from mvllm.config import Config
from mvllm.load_manager import LoadManager

logger.remove()
LABELS = 'engine="0",model_name="m"'
OLDER = f"""vllm:num_requests_running{{{LABELS}}} 1.0
vllm:num_requests_waiting{{{LABELS}}} 5.0
vllm:kv_cache_usage_perc{{{LABELS}}} 0.9
"""
BY_REASON = f"""vllm:num_requests_waiting_by_reason{{{LABELS},reason="capacity"}} 5.0
vllm:num_requests_waiting_by_reason{{{LABELS},reason="deferred"}} 0.0
"""
manager = LoadManager(Config("none.toml"))
for name, text in (("without", OLDER), ("with", OLDER + BY_REASON)):
    read = manager._parse_vllm_metrics(text)
    print(name, "by_reason:", read["num_requests_waiting"], "wait, cache", read["gpu_cache_usage_perc"])
PY
told=$(cd "$folder" && "$folder/venv/bin/python" read.py)
echo "$told"
[ "$told" = "$(printf 'without by_reason: 5 wait, cache 0.0\nwith by_reason: 0 wait, cache 0.0')" ]
