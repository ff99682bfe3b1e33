#!/usr/bin/env bash
# locust 2.47.0: a request reported with response_time=None counts as a request, but stands in no mean, median or
# percentile. A load script that reports what was refused so keeps refusals out of its latencies; one that reports 0
# halves the mean of a test of which half was refused. The documentation of the event says milliseconds and nothing of None.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check locust==2.47.0
told=$("$folder/venv/bin/python" - <<'PY'
from locust.stats import RequestStats

def of(refused):
    stats = RequestStats()
    for time in (100, 100, 100, refused, refused, refused):
        stats.log_request("GET", "/", time, 0)
    total = stats.total
    return total.num_requests, total.avg_response_time, total.get_response_time_percentile(0.5)

print("None:", *of(None))
print("0:", *of(0))
PY
)
echo "$told"
[ "$told" = "$(printf 'None: 6 100.0 100\n0: 6 50.0 100')" ]
