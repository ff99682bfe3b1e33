#!/usr/bin/env bash
# vllm-sr-sim 0.1.0.dev20260713123629: the utilisation that its simulation tells says nothing about load. The time until the next
# event counts as busy if the GPU was so before the last one, and so the gap between two requests counts as work: a GPU that holds
# a request for 44 ms of every 100 s is "99.8 % busy", and so is one that holds requests almost half of the time. Whoever sizes a
# fleet by it takes an idle one for full, whatever the load.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check vllm-sr-sim==0.1.0.dev20260713123629
told=$("$folder/venv/bin/python" - <<'PY'
from fleet_sim import H100_80GB, Fleet, FleetConfig, PoolConfig, Request

for gap in (0.1, 1, 10, 100):
    arrivals = [(number * gap, Request(number, 0.0, 1600, 400)) for number in range(1, 501)]
    result = Fleet(FleetConfig([PoolConfig("all", H100_80GB, 1, 8192)], "RandomRouter")).run(arrivals)
    held = sum(request.end_time - request.start_time for request in result.completed) / (500 * gap)
    print(f"a request every {gap} s: one is held {100 * held:.2f} % of the time, told busy {100 * result.mean_utilisation():.1f} %")
PY
)
echo "$told"
[ "$told" = "$(printf '%s\n' 'a request every 0.1 s: one is held 43.97 % of the time, told busy 100.0 %' \
  'a request every 1 s: one is held 4.40 % of the time, told busy 99.9 %' \
  'a request every 10 s: one is held 0.44 % of the time, told busy 99.8 %' \
  'a request every 100 s: one is held 0.04 % of the time, told busy 99.8 %')" ]
