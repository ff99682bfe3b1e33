#!/usr/bin/env bash
# openai 3.57.0 (Python, httpx2 2.16.2): the blocking client opens a new connection for every streamed chat, also where the
# whole answer, its last chunk included, has come in one piece: it stops reading at `[DONE]` and closes the response, and
# what it has not read to the end cannot be used again. Five streams read to their end take five connections, five plain
# chats one. The async client of the same version drains the answer and stays on one. So whoever measures first tokens with
# the blocking client measures TCP and TLS set-up with every one of them, and compares it with an async tool's without.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openai==3.57.0 httpx2==2.16.2
told=$("$folder/venv/bin/python" - <<'PY'
import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai

CHAT = {"id": "c", "created": 1, "model": "m"}
WORDS = {"role": "assistant", "content": "hi"}
PART = CHAT | {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": WORDS, "finish_reason": "stop"}]}
WHOLE = CHAT | {"object": "chat.completion", "choices": [{"index": 0, "message": WORDS, "finish_reason": "stop"}]}
EVENTS = f"data: {json.dumps(PART)}\n\ndata: [DONE]\n\n".encode()
connections = 0


class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        global connections
        connections += 1
        super().setup()

    def log_message(self, *_):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        if asked.get("stream"):
            self.send_header("content-type", "text/event-stream")
            self.send_header("transfer-encoding", "chunked")
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(EVENTS), EVENTS)
        else:
            body = json.dumps(WHOLE).encode()
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
ANY = {"base_url": f"http://127.0.0.1:{server.server_port}/v1", "api_key": "any", "max_retries": 0}
ASK = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def blocking(stream):
    client = openai.OpenAI(**ANY)
    for _ in range(5):
        answer = client.chat.completions.create(**ASK, stream=stream)
        if stream:
            assert len(list(answer)) == 1


async def asynchronous(stream):
    client = openai.AsyncOpenAI(**ANY)
    for _ in range(5):
        answer = await client.chat.completions.create(**ASK, stream=stream)
        if stream:
            assert len([part async for part in answer]) == 1


for stream in (False, True):
    connections = 0
    blocking(stream)
    of_blocking, connections = connections, 0
    asyncio.run(asynchronous(stream))
    print("streamed" if stream else "plain", of_blocking, connections)
PY
)
echo "$told"
[ "$told" = "$(printf '%s\n' 'plain 1 1' 'streamed 5 1')" ]
