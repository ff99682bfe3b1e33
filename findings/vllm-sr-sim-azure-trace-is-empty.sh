#!/usr/bin/env bash
# vllm-sr-sim 0.1.0.dev20260713123629: of a trace in its format "azure_csv" it reads no row, and says nothing. Azure's published
# traces of LLM inference give TIMESTAMP as a date and time (2023-11-16 18:17:03.9799600); the reader wants a number there and skips
# what is none. The header and every other column are as it expects. A plan made from the trace is one of no requests.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check vllm-sr-sim==0.1.0.dev20260713123629
cat > "$folder/dates.csv" <<'CSV'
TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109
2023-11-16 18:15:51.2224670,879,55
CSV
cat > "$folder/numbers.csv" <<'CSV'
TIMESTAMP,ContextTokens,GeneratedTokens
46.6805900,374,44
50.9951690,396,109
51.2224670,879,55
CSV
told=$(cd "$folder" && venv/bin/python - 2>&1 <<'PY'
from fleet_sim.workload.trace import TraceWorkload

for name in ("dates", "numbers"):
    rows = TraceWorkload(f"{name}.csv", fmt="azure_csv").generate()
    print(f"{name}: {len(rows)} of 3 rows, prompts {[request.l_in for _, request in rows]}")
PY
)
echo "$told"
[ "$told" = "$(printf '%s\n' 'dates: 0 of 3 rows, prompts []' 'numbers: 3 of 3 rows, prompts [374, 396, 879]')" ]
