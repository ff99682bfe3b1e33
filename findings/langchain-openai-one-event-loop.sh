#!/usr/bin/env bash
# langchain-openai 1.7.4: two ChatOpenAI objects made with the same settings share one HTTP client, over the life of event
# loops too. After one asyncio.run with several calls at once, an object made inside the next asyncio.run fails with "Event
# loop is closed", though it has never seen the loop that was. A load script or a test that gives each round a loop and a
# client of its own measures connection errors.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check langchain-openai==1.7.4
told=$("$folder/venv/bin/python" - <<'PY'
import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from langchain_openai import ChatOpenAI

CHOICE = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}
ANSWER = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [CHOICE]}

class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        text = json.dumps(ANSWER).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()

async def ask():
    model = ChatOpenAI(model="m", api_key="k", base_url=f"http://127.0.0.1:{server.server_port}/v1", max_retries=0)
    return (await model.ainvoke("hi")).content

async def four_at_once():
    return await asyncio.gather(*(ask() for _ in range(4)))

print("first loop:", *asyncio.run(four_at_once()))
try:
    print("second loop:", asyncio.run(ask()))
except RuntimeError as error:
    print("second loop:", error)
PY
)
echo "$told"
[ "$told" = "$(printf 'first loop: hello hello hello hello\nsecond loop: Event loop is closed')" ]
