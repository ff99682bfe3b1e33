#!/usr/bin/env bash
# instructor 1.17.0: the schema that `create_iterable` sends requires nothing, so an answer of `{}` (no list of items at all)
# satisfies it. Instructor then takes that object itself for an item and fails to validate it: a server whose structured
# output is right by the schema sent ends in an error, where an empty list would have been the answer.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check instructor==1.17.0
told=$("$folder/venv/bin/python" - <<'PY'
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import instructor
import openai
from pydantic import BaseModel, ValidationError

class Server(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        function = body["tools"][0]["function"]
        print("sent: properties", list(function["parameters"]["properties"]), "required", function["parameters"].get("required"))
        called = {"index": 0, "id": "call_1", "type": "function", "function": {"name": function["name"], "arguments": "{}"}}
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for delta, reason in (({"role": "assistant", "tool_calls": [called]}, None), ({}, "tool_calls")):
            chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
            chunk["choices"] = [{"index": 0, "delta": delta, "finish_reason": reason}]
            self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, *args):
        pass

class Hour(BaseModel):
    hour: int

server = HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = instructor.from_openai(openai.OpenAI(api_key="k", base_url=f"http://127.0.0.1:{server.server_port}/v1"))
try:
    asked = [{"role": "user", "content": "hours"}]
    print("answer:", list(client.chat.completions.create_iterable(model="m", messages=asked, response_model=Hour)))
except ValidationError as error:
    print("answer:", error.title, error.errors()[0]["type"], error.errors()[0]["loc"])
PY
)
echo "$told"
[ "$told" = "$(printf "sent: properties ['tasks'] required []\nanswer: Hour missing ('hour',)")" ]
