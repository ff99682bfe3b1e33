#!/usr/bin/env bash
# openinference-instrumentation-openai 0.1.66 (what Phoenix reads): the event "First Token Stream Event" is set at the first chunk
# of a stream, though that carries the role and no token. A server that sends the role when it takes a request on, as some do, and
# the first token a second later, has a time to first token of next to nothing there. AIPerf and GuideLLM wait for text.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openinference-instrumentation-openai==0.1.66 openai==3.57.0 opentelemetry-sdk==1.45.2
cat > "$folder/ask.py" <<'PY'
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai
from openinference.instrumentation.openai import OpenAIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

class Server(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for delta in ({"role": "assistant", "content": ""}, {"content": "hello"}, {"content": " world"}, {}):
            choice = {"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}
            chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
            self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
            time.sleep(1)
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, *args):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = openai.OpenAI(api_key="k", base_url=f"http://127.0.0.1:{server.server_port}/v1")

spans, tracers = InMemorySpanExporter(), TracerProvider()
tracers.add_span_processor(SimpleSpanProcessor(spans))
OpenAIInstrumentor().instrument(tracer_provider=tracers)

began = time.time_ns()
for chunk in client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}], stream=True):
    if chunk.choices[0].delta.content == "hello":
        text_s = (time.time_ns() - began) / 1e9
event = spans.get_finished_spans()[0].events[0]
print(f"{event.name}: before 0.9 s: {(event.timestamp - began) / 1e9 < 0.9}; first text before 0.9 s: {text_s < 0.9}")
PY
told=$(cd "$folder" && venv/bin/python ask.py)
echo "$told"
[ "$told" = "$(printf 'First Token Stream Event: before 0.9 s: True; first text before 0.9 s: False')" ]
