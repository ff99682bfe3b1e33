#!/usr/bin/env bash
# inference-perf 0.7.0: a streamed answer of one token has no time to first token. TTFT is taken from answers of two tokens or more only,
# so that a run of `max_tokens: 1`, the usual way to time a prefill alone, has `time_to_first_token: null`, and a mixed run has that of its
# longer answers. Against a bound on "ttft" such an answer counts as one that missed it: ten that came after 0.1 s each are 0 % good
# under 0.5 s. The same with two tokens are 100 %.
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
from inference_perf.apis.base import InferenceInfo, RequestLifecycleMetric, StreamedResponseMetrics
from inference_perf.config import GoodputConfig
from inference_perf.payloads import RequestMetrics, Text
from inference_perf.reportgen.base import summarize_requests

def request(second, tokens):
    times = [second + 0.1 * token for token in range(1, tokens + 1)]
    answer = StreamedResponseMetrics(output_tokens=tokens, chunk_times=times, output_token_times=times)
    info = InferenceInfo(request_metrics=RequestMetrics(text=Text(input_tokens=10)), response_metrics=answer)
    return RequestLifecycleMetric(
        stage_id=0, scheduled_time=second, start_time=second, end_time=times[-1], request_data="{}", info=info, error=None
    )

for tokens in (2, 1):
    requests = [request(float(second), tokens) for second in range(10)]
    told = summarize_requests(requests, [50], goodput_config=GoodputConfig(constraints={"ttft": 0.5})).successes
    first = told["latency"]["time_to_first_token"]
    print(tokens, "tokens: TTFT", first and round(first["median"], 3), "goodput", told["goodput_metrics"]["goodput_percentage"])
PY
told=$(cd "$folder" && venv/bin/python ask.py 2> "$folder/errors")
echo "$told"
[ "$told" = "$(printf '%s\n' '2 tokens: TTFT 0.1 goodput 100.0' '1 tokens: TTFT None goodput 0.0')" ]
