#!/usr/bin/env bash
# vllm-sr-sim 0.1.0.dev20260713123629: its simulation takes a GPU for as many times faster as it has slots. A request holds a slot
# for its service time divided by the number of slots, so that a GPU of 128 slots, by the package's own `throughput` good for 22.7
# requests a second, is given 100 times as many and completes them as they come, without a wait and within a TTFT of 500 ms. Sizes
# that the formulas reckon, and `optimize` then "verifies" by simulation, are verified by a GPU that no load of theirs can fill.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check vllm-sr-sim==0.1.0.dev20260713123629
told=$("$folder/venv/bin/python" - <<'PY'
from fleet_sim import H100_80GB, Fleet, FleetConfig, PoolConfig, Request

CONTEXT, PROMPT, ANSWER = 8192, 1600, 400
capacity = H100_80GB.throughput(CONTEXT, PROMPT, ANSWER)
slots = H100_80GB.n_slots(CONTEXT)
held = H100_80GB.service_time(PROMPT, ANSWER, CONTEXT)
print(f"{slots} slots, {held:.2f} s a request: {capacity:.1f} requests/s")
for times in (0.5, 1, 10, 100):
    rate = times * capacity
    arrivals = [(number / rate, Request(number, 0.0, PROMPT, ANSWER)) for number in range(1, 5001)]
    result = Fleet(FleetConfig([PoolConfig("all", H100_80GB, 1, CONTEXT)], "RandomRouter")).run(arrivals)
    found = result.summary(t_slo_ms=500)
    print(f"{times} x: {found['total_completed']} completed, p99 wait {found['fleet_p99_qwait_ms']} ms,"
          f" within 500 ms {found['fleet_slo_compliance']}")
PY
)
echo "$told"
[ "$told" = "$(printf '%s\n' '128 slots, 5.63 s a request: 22.7 requests/s' \
  '0.5 x: 5000 completed, p99 wait 0.0 ms, within 500 ms 1.0' \
  '1 x: 5000 completed, p99 wait 0.0 ms, within 500 ms 1.0' \
  '10 x: 5000 completed, p99 wait 0.0 ms, within 500 ms 1.0' \
  '100 x: 5000 completed, p99 wait 0.0 ms, within 500 ms 1.0')" ]
