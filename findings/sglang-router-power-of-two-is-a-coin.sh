#!/usr/bin/env bash
# sglang-router 0.3.2: `--policy power_of_two` does not count the requests that the router itself has under way. Before
# OpenAI-compatible workers, which report no load to it, it draws by lot and says nothing: of twenty short requests, one after
# the other, about half go to the worker that is busy. vllm-router 0.1.17, whose policy of that name came from there, counts its
# own and sends all twenty to the idle one.
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
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

release = threading.Event()

class Worker(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(b'{"data": [{"id": "m"}]}')

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/v1/chat/completions":
            self.server.asked += 1
            if b"long" in body:
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

def ask(url, text):
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}).encode()
    urllib.request.urlopen(urllib.request.Request(url, body, {"content-type": "application/json"})).read()

for name, command in ROUTERS.items():
    workers = serve(), serve()
    release.clear()
    router, url = start(command, "--worker-urls", *urls_of(workers), "--policy", "power_of_two")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(ask, url, "long")
        time.sleep(2)
        busy = max(workers, key=lambda worker: worker.asked)
        for _ in range(20):
            ask(url, "short")
        print(f"{name}: to the busy worker:", "some" if busy.asked > 1 else "none")
        release.set()
    router.terminate()
    router.wait()
PY
told=$(cd "$folder" && venv/bin/python ask.py)
echo "$told"
[ "$told" = "$(printf 'vllm-router: to the busy worker: none\nsglang-router: to the busy worker: some')" ]
