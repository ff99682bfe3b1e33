#!/usr/bin/env bash
# opentelemetry-instrumentation-openai-v2 2.4b0: of an answer that streams, the metric gen_ai.client.operation.duration ends when
# `create` returns, that is at the headers, and gen_ai.client.token.usage gets nothing, though the stream carries its usage. The
# span of the same call is right on both. A dashboard of an application that streams shows latencies of some milliseconds and no
# tokens. OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai_latest_experimental measures to the end of the stream and counts.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check opentelemetry-instrumentation-openai-v2==2.4b0 opentelemetry-util-genai==0.4b0 opentelemetry-sdk==1.45.2 openai==3.57.0 httpx==0.28.1
cat > "$folder/ask.py" <<'PY'
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

class Server(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        usage = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
        delta = {"role": "assistant", "content": "hello"}
        for choices, tokens in (([{"index": 0, "delta": delta, "finish_reason": "stop"}], None), ([], usage)):
            time.sleep(1)
            chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, "usage": tokens}
            self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, *args):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
reader, spans, tracers = InMemoryMetricReader(), InMemorySpanExporter(), TracerProvider()
tracers.add_span_processor(SimpleSpanProcessor(spans))
OpenAIInstrumentor().instrument(tracer_provider=tracers, meter_provider=MeterProvider([reader]))

client = openai.OpenAI(api_key="k", base_url=f"http://127.0.0.1:{server.server_port}/v1")
asked = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream_options": {"include_usage": True}}
list(client.chat.completions.create(stream=True, **asked))

scopes = reader.get_metrics_data().resource_metrics[0].scope_metrics
metrics = {metric.name: metric.data.data_points for scope in scopes for metric in scope.metrics}
duration = metrics["gen_ai.client.operation.duration"][0].sum
span = spans.get_finished_spans()[0]
whole = (span.end_time - span.start_time) / 1e9
print(f"a stream of 2 s: span over 2 s: {whole >= 2}, of 2 tokens: {span.attributes['gen_ai.usage.output_tokens'] == 2};",
      f"metric over 2 s: {duration >= 2}, of tokens: {'gen_ai.client.token.usage' in metrics}")
PY
told=$(cd "$folder" && venv/bin/python ask.py)
echo "$told"
[ "$told" = "$(printf 'a stream of 2 s: span over 2 s: True, of 2 tokens: True; metric over 2 s: False, of tokens: False')" ]
