#!/usr/bin/env bash
# vllm-router 0.1.17: `--policy sticky_least_loaded` sends requests that name no session all to one worker, however loaded that
# is: of eight that wait at the same time the other worker, idle, gets none. They are not taken for eight requests without a
# session, to be placed by load, but for one session. With `x-session-id` each is placed by load, four and four. A load tool or an
# OpenAI client sends no such header, so the policy measures as one worker.
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
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

release = threading.Event()

class Worker(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(b'{"data": [{"id": "m"}]}')

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/v1/chat/completions":
            self.server.asked += 1
            release.wait(60)
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
    server.asked = 0
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server

def urls_of(servers):
    return [f"http://127.0.0.1:{server.server_port}" for server in servers]

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

def ask(url, headers):
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()
    urllib.request.urlopen(urllib.request.Request(url, body, {"content-type": "application/json", **headers})).read()

for name, sessions in (("no session", [{}] * 8), ("eight sessions", [{"x-session-id": str(number)} for number in range(8)])):
    workers = serve(), serve()
    release.clear()
    router, url = start("--worker-urls", *urls_of(workers), "--policy", "sticky_least_loaded")
    with ThreadPoolExecutor(8) as pool:
        for headers in sessions:
            pool.submit(ask, url, headers)
            time.sleep(0.3)
        time.sleep(1)
        print(f"{name}:", *sorted(worker.asked for worker in workers))
        release.set()
    router.terminate()
    router.wait()
PY
told=$(cd "$folder" && venv/bin/python ask.py)
echo "$told"
[ "$told" = "$(printf 'no session: 0 8\neight sessions: 4 4')" ]
