#!/usr/bin/env bash
# inference-perf 0.7.0: `load.type: constant` does not send at even distances. Its gaps are drawn from an exponential distribution,
# without a seed, and then scaled to the duration: the number of requests is constant, and they come as at random. At 10 a second the
# gaps deviate by as much as they last (0 would be even, 1 is Poisson's), and one second has fewer than 6 requests, another more than
# 15. A server that would keep up with an even load shows queues, and every run shows others.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# It asks for Python 3.12, which its timers do not need; of it they need no more than they import.
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --ignore-requires-python inference-perf==0.7.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps numpy==2.3.5
cat > "$folder/ask.py" <<'PY'
import importlib.util
import sys
import types
from pathlib import Path

import numpy

HOME = Path(importlib.util.find_spec("inference_perf").origin).parent
for name in ("inference_perf", "inference_perf.loadgen", "inference_perf.utils"):  # without what the whole program pulls in
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [str(HOME.parent.joinpath(*name.split(".")))]
from inference_perf.loadgen.load_timer import ConstantLoadTimer

times = numpy.array(list(ConstantLoadTimer(rate=10, duration=1000).start_timer(0.0)))
gaps = numpy.diff(times)
seconds = numpy.bincount(numpy.floor(times[:-1]).astype(int))
print(len(times), "requests in 1000 s; the gaps deviate by", f"{gaps.std() / gaps.mean():.1f}", "of their mean")
print("a second with fewer than 6:", bool(seconds.min() < 6), "and one with more than 15:", bool(seconds.max() > 15))
PY
told=$(cd "$folder" && venv/bin/python ask.py)
echo "$told"
[ "$told" = "$(printf '%s\n' '10000 requests in 1000 s; the gaps deviate by 1.0 of their mean' 'a second with fewer than 6: True and one with more than 15: True')" ]
