#!/usr/bin/env bash
# inference-perf 0.7.0: `goodput_percentage`, "the share of requests meeting the configured SLOs", is the share of the answered ones.
# What the server refused counts in neither number of it, and so in no `..._attainment_percentage` either: of sixty
# requests of which half are refused with 429 it tells 100 %, of 30 `total_requests`. A server that sheds load passes any bound on
# it, and passes better than one that lets requests wait. `request_goodput`, the good ones a second, does fall.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# It asks for Python 3.12, which its reports do not need; of its dependencies they need those that they import.
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --ignore-requires-python inference-perf==0.7.0 av==18.1.0
cat > "$folder/needs.txt" <<'TXT'
aiohttp==3.14.5
google-auth==2.63.0
jinja2==3.1.6
jmespath==1.1.0
numpy==2.3.5
pillow==13.0.0
pydantic==2.14.4
pyyaml==6.0.4
requests==2.34.2
rich==15.0.0
transformers==5.13.0
TXT
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check -r "$folder/needs.txt" 2> "$folder/unmet"
cat > "$folder/ask.py" <<'PY'
import importlib.util
import sys
import types
from pathlib import Path

HOME = Path(importlib.util.find_spec("inference_perf").origin).parent
for name in ("inference_perf", "inference_perf.reportgen"):  # without what importing the whole program pulls in
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [str(HOME.parent.joinpath(*name.split(".")))]
from inference_perf.apis.base import ErrorResponseInfo, InferenceInfo, RequestLifecycleMetric, StreamedResponseMetrics
from inference_perf.config import GoodputConfig
from inference_perf.payloads import RequestMetrics, Text
from inference_perf.reportgen.base import summarize_requests

REFUSAL = ErrorResponseInfo(error_type="HTTP Error 429", error_msg="too many requests")

def request(second, error):
    times = [second + 0.1 * token for token in (1, 2, 3)]
    answer = None if error else StreamedResponseMetrics(output_tokens=3, chunk_times=times, output_token_times=times)
    info = InferenceInfo(request_metrics=RequestMetrics(text=Text(input_tokens=10)), response_metrics=answer)
    return RequestLifecycleMetric(
        stage_id=0, scheduled_time=second, start_time=second, end_time=second + 0.3, request_data="{}", info=info, error=error
    )

requests = [request(float(second), REFUSAL if second % 2 else None) for second in range(60)]
told = summarize_requests(requests, [50], goodput_config=GoodputConfig(constraints={"ttft": 0.5, "request_latency": 1.0}))
goodput = told.successes["goodput_metrics"]
print("answered", told.successes["count"], "refused", told.failures["count"])
print("goodput", goodput["goodput_percentage"], "% of", goodput["total_requests"], "and", f"{goodput['request_goodput']:.1f}", "a second")
PY
told=$(cd "$folder" && venv/bin/python ask.py 2> "$folder/errors")
echo "$told"
[ "$told" = "$(printf '%s\n' 'answered 30 refused 30' 'goodput 100.0 % of 30 and 0.5 a second')" ]
