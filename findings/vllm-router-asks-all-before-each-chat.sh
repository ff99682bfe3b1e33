#!/usr/bin/env bash
# vllm-router 0.1.17: with its default policy, cache_aware, each chat costs every worker requests of its own before the one that is
# answered: `/v1/chat/completions/render`, and where that is unknown `/tokenize` too. A 404 is not remembered. With three
# OpenAI-compatible workers that know neither, two chats are fourteen requests, and what a worker or a gateway between counts or
# limits per request is seven times the traffic. `--policy round_robin` sends the two.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check vllm-router==0.1.17
cat > "$folder/ask.py" <<'PY'
import collections
import json
import socket
import subprocess
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

asked = collections.Counter()

class Worker(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(b'{"data": [{"id": "m"}]}')

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        asked[self.path] += 1
        if self.path == "/v1/chat/completions":
            self.answer(b'{"choices": []}')
        else:
            self.send_error(404)

    def answer(self, text):
        self.send_response(200)
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

workers = [f"http://127.0.0.1:{serve().server_port}" for _ in range(3)]
body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()
for policy in ([], ["--policy", "round_robin"]):
    router, url = start("--worker-urls", *workers, *policy)
    asked.clear()
    for _ in range(2):
        urllib.request.urlopen(urllib.request.Request(url, body, {"content-type": "application/json"})).read()
    router.terminate()
    router.wait()
    print(policy[1] if policy else "as it comes", *(f"{path} {count}" for path, count in sorted(asked.items())), sep="\n  ")
PY
told=$(cd "$folder" && venv/bin/python ask.py)
echo "$told"
[ "$told" = "$(printf '%s\n' 'as it comes' '  /tokenize 6' '  /v1/chat/completions 2' '  /v1/chat/completions/render 6' round_robin '  /v1/chat/completions 2')" ]
