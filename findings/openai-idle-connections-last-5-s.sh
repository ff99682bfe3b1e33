#!/usr/bin/env bash
# openai 3.57.0 (Python, httpx2 2.16.2): a connection that was idle for more than 5 s is not used again, whatever the server
# keeps: the client's own limits name numbers of connections, and httpx2's default of 5 s for idle ones stays. Three chats
# 5.5 s apart take three connections, and one without the pauses; with a `keepalive_expiry` of a minute they take one, too.
# So an agent that works for 6 s between its calls pays TCP and TLS set-up with every one of them, while a load
# test of the same client, whose calls come quickly, pays it once: its first tokens come sooner than the agent's.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openai==3.57.0 httpx2==2.16.2
told=$("$folder/venv/bin/python" - <<'PY'
import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import openai

WORDS = {"role": "assistant", "content": "hi"}
CHOICE = {"index": 0, "message": WORDS, "finish_reason": "stop"}
WHOLE = json.dumps({"id": "c", "created": 1, "model": "m", "object": "chat.completion", "choices": [CHOICE]}).encode()
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
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(WHOLE)))
        self.end_headers()
        self.wfile.write(WHOLE)


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()


async def chats(pause_s, **options):
    client = openai.AsyncOpenAI(
        base_url=f"http://127.0.0.1:{server.server_port}/v1", api_key="any", max_retries=0, **options
    )
    for _ in range(3):
        await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
        await asyncio.sleep(pause_s)
    await client.close()


def counted(pause_s, **options):
    before = connections
    asyncio.run(chats(pause_s, **options))
    return connections - before


def patient():
    return httpx2.AsyncClient(limits=httpx2.Limits(keepalive_expiry=60))


print("at once", counted(0))
print("5.5 s apart", counted(5.5))
print("5.5 s apart, kept for a minute", counted(5.5, http_client=patient()))
PY
)
echo "$told"
[ "$told" = "$(printf '%s\n' 'at once 1' '5.5 s apart 3' '5.5 s apart, kept for a minute 1')" ]
