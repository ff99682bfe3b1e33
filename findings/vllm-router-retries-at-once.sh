#!/usr/bin/env bash
# vllm-router 0.1.17: a worker that answers 429 or 503 with `Retry-After: 30` is asked five times within about half a second, and
# the last refusal is handed to the client with that header still on it. One call of the OpenAI client, which makes three of its
# own, so comes to fifteen requests at the overloaded worker: what should shed load multiplies it by five. A good engineer
# takes a router for one that either waits as told or hands the refusal on.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check vllm-router==0.1.17
cat > "$folder/ask.py" <<'PY'
import json
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

asked = []

class Worker(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200, b'{"data": [{"id": "m"}]}')

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        asked.append(time.monotonic())
        self.answer(refusal, b'{"error": {"message": "full"}}')

    def answer(self, status, text):
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("retry-after", "30")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args):
        pass

def serve():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Worker)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server

def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]

def start(*flags):
    port = free_port()
    command = ["venv/bin/vllm-router", "--host", "127.0.0.1", "--port", str(port), "--prometheus-port", str(free_port())]
    router = subprocess.Popen([*command, *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    for _ in range(100):
        time.sleep(0.2)
        try:
            urllib.request.urlopen(f"{url}/health").read()
            break
        except OSError:
            continue
    time.sleep(1)
    return router, f"{url}/v1/chat/completions"

router, url = start("--worker-urls", f"http://127.0.0.1:{serve().server_port}", "--policy", "round_robin")
body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()
for refusal in (429, 503):
    asked.clear()
    try:
        urllib.request.urlopen(urllib.request.Request(url, body, {"content-type": "application/json"}))
    except urllib.error.HTTPError as error:
        told = error.code, error.headers["retry-after"]
    print(*told, "after", len(asked), "requests, all within 5 s:", asked[-1] - asked[0] < 5)
router.terminate()
router.wait()
PY
told=$(cd "$folder" && venv/bin/python ask.py)
echo "$told"
[ "$told" = "$(printf '429 30 after 5 requests, all within 5 s: True\n503 30 after 5 requests, all within 5 s: True')" ]
