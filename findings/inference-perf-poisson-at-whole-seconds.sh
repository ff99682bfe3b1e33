#!/usr/bin/env bash
# inference-perf 0.7.0: `load.type: poisson` draws how many requests a second has and then stretches their gaps until the last one falls
# on the end of that second. So every second that has any ends with one, at whole seconds from the start on. At 1 a second 6 of 10
# requests are sent there, and at one every 5 s, as a slow model gets them, 9 of 10: whatever the server or a scraper does once a second
# meets them all in the same phase. Arrivals of Poisson's kind prefer no instant.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# It asks for Python 3.12, which its timers do not need; of it they need no more than they import.
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --ignore-requires-python inference-perf==0.7.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps numpy==2.3.5
cat > "$folder/ask.py" <<'PY'
import importlib.util
import itertools
import sys
import types
from pathlib import Path

import numpy

HOME = Path(importlib.util.find_spec("inference_perf").origin).parent
for name in ("inference_perf", "inference_perf.loadgen", "inference_perf.utils"):  # without what the whole program pulls in
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [str(HOME.parent.joinpath(*name.split(".")))]
from inference_perf.loadgen.load_timer import PoissonLoadTimer

for rate in (0.2, 1, 10):
    timer = PoissonLoadTimer(rate=rate, duration=1)
    times = numpy.array(list(itertools.islice(timer.start_timer(0.0), 20000)))
    times = times[times < int(times[-1]) + 0.5e-6]  # without the second that was cut off
    whole = numpy.abs(times - times.round()) < 1e-6
    seconds_that_end_without = set(numpy.ceil(times - 1e-6)) - set(times[whole].round())
    print(f"{rate} a second: {whole.mean():.1f} at whole seconds; not there in", len(seconds_that_end_without), "of the seconds")
PY
told=$(cd "$folder" && venv/bin/python ask.py)
echo "$told"
[ "$told" = "$(printf '%s a second: %s at whole seconds; not there in 0 of the seconds\n' 0.2 0.9 1 0.6 10 0.1)" ]
