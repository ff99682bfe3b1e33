#!/usr/bin/env bash
# sglang-router 0.3.2: a worker that answers 429 is taken for a broken one. Each call is tried five times, each try counts as a
# failure of the worker, and the tenth opens its circuit breaker: after two calls the only worker gets nothing more, though it
# would answer, and clients read 503 where the worker had said "too many requests". vllm-router 0.1.17 tries as often, but does
# not count a 429: the next call reaches the worker. Limits at the workers and this router's breaker do not go together.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check vllm-router==0.1.17 sglang-router==0.3.2
cat > "$folder/ask.py" <<'PY'
import json
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

status, asked = 200, 0

class Worker(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200, b'{"data": [{"id": "m"}]}')

    def do_POST(self):
        global asked
        self.rfile.read(int(self.headers["content-length"]))
        asked += 1
        self.answer(status, b'{"choices": []}')

    def answer(self, code, text):
        self.send_response(code)
        self.send_header("content-type", "application/json")
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

def start(command, *flags):
    port = free_port()
    command = [*command, "--host", "127.0.0.1", "--port", str(port), "--prometheus-port", str(free_port())]
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

ROUTERS = {"vllm-router": ["venv/bin/vllm-router"], "sglang-router": ["venv/bin/sglang-router", "launch"]}

def ask(url):
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, {"content-type": "application/json"})) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code

worker = f"http://127.0.0.1:{serve().server_port}"
for name, command in ROUTERS.items():
    router, url = start(command, "--worker-urls", worker, "--policy", "round_robin")
    status, asked = 429, 0
    limited = ask(url), ask(url)
    tries = asked
    status = 200
    print(f"{name}: limited", *limited, f"in {tries} requests, then", ask(url))
    router.terminate()
    router.wait()
PY
told=$(cd "$folder" && venv/bin/python ask.py)
echo "$told"
[ "$told" = "$(printf 'vllm-router: limited 429 429 in 10 requests, then 200\nsglang-router: limited 429 429 in 10 requests, then 503')" ]
