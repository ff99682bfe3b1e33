#!/usr/bin/env bash
# genai-bench 0.0.5: the `error_rate` that it writes for a run is 0 whatever fails. It divides by a number of requests that is
# still 0 at that time and is set a few lines later, so that its warning from 50 % of errors up never shows either. Ten of
# twenty requests refused: 20 requests, 10 errors, error rate 0. Whoever gates a run on that field lets an overloaded server
# pass; `num_error_requests / num_requests` in the same file is right.
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

run = AggregatedMetricsCollector()
for _ in range(10):
    run.add_single_request_metrics(RequestLevelMetrics(**INPUT, **OUTPUT, **TOTAL))
    run.add_single_request_metrics(RequestLevelMetrics(error_code=429, error_message="too many requests"))
run.aggregate_metrics_data(start_time=0, end_time=10, warmup_ratio=None, cooldown_ratio=None)
told = run.aggregated_metrics
print("requests", told.num_requests, "errors", told.num_error_requests, "error rate", told.error_rate)
PY
told=$(cd "$folder" && venv/bin/python ask.py)
echo "$told"
[ "$told" = "$(printf 'requests 20 errors 10 error rate 0')" ]
