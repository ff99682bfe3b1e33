#!/usr/bin/env bash
# genai-bench 0.0.5: `--warmup-ratio` and `--cooldown-ratio` take the tokens of the first and last requests out of the throughput,
# but not their time: what remains is divided by the whole duration of the run. Ten requests of 91 tokens in 10 s are
# 91 tokens/s; with 20 % off at both ends the same run is told as 54.6, though the six that count ran as fast. Requests per second
# count all ten. A study that warms up finds a server slower by just the share that it warms up with.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps genai-bench==0.0.5 gevent==25.9.1 greenlet==3.5.6 zope.event==6.2 zope.interface==8.7
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.3.5 pydantic==2.12.5 rich==14.2.0
cat > "$folder/ask.py" <<'PY'
from genai_bench.metrics.aggregated_metrics_collector import AggregatedMetricsCollector
from genai_bench.metrics.metrics import RequestLevelMetrics

OUTPUT = {"num_output_tokens": 91, "output_latency": 0.9, "tpot": 0.01, "output_inference_speed": 100, "output_throughput": 100}
INPUT = {"num_input_tokens": 100, "ttft": 0.1, "input_throughput": 1000}
TOTAL = {"e2e_latency": 1.0, "total_tokens": 191, "num_reasoning_tokens": 0}

for ratio in (0.0, 0.2):
    run = AggregatedMetricsCollector()
    for _ in range(10):
        run.add_single_request_metrics(RequestLevelMetrics(**INPUT, **OUTPUT, **TOTAL))
    run.aggregate_metrics_data(start_time=0, end_time=10, warmup_ratio=ratio, cooldown_ratio=ratio)
    told = run.aggregated_metrics
    print(f"{ratio:.0%} off:", told.requests_per_second, "requests/s", told.mean_output_throughput_tokens_per_s, "tokens/s")
PY
told=$(cd "$folder" && venv/bin/python ask.py)
echo "$told"
[ "$told" = "$(printf '%s\n' '0% off: 1.0 requests/s 91.0 tokens/s' '20% off: 1.0 requests/s 54.6 tokens/s')" ]
