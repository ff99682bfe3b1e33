#!/usr/bin/env bash
# vllm-router 0.1.17, sglang-router 0.3.2: their histograms of request durations stop at the headers where an answer streams. A stream of
# 2 s counts for some milliseconds, an answer of 2 s in one piece for 2 s, both in one series without a mark (sglang-router's has no
# label for it either): the panel shows how soon workers send headers, and a mean over both kinds moves with their mix. Nothing
# else in either's metrics tells how long streams take, how many tokens they hold or when the first one comes.
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
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Worker(BaseHTTPRequestHandler):
    def do_GET(self):
        self.begin("application/json")
        self.wfile.write(b'{"data": [{"id": "m"}]}')

    def do_POST(self):
        stream = json.loads(self.rfile.read(int(self.headers["content-length"])))["stream"]
        if stream:
            self.begin("text/event-stream")
        time.sleep(2)
        if stream:
            self.wfile.write(b'data: {"choices": [{"index": 0, "delta": {"content": "t"}}]}\n\ndata: [DONE]\n\n')
        else:
            self.begin("application/json")
            self.wfile.write(b'{"choices": []}')

    def begin(self, kind):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.end_headers()

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
    command = [*command, "--host", "127.0.0.1", "--port", str(port), "--prometheus-host", "127.0.0.1"]
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

SUMS = {"vllm-router": "vllm_router_generate_duration_seconds_sum", "sglang-router": "smg_router_request_duration_seconds_sum"}
worker = f"http://127.0.0.1:{serve().server_port}"
for name, command in ROUTERS.items():
    for stream in (False, True):
        metrics_port = free_port()
        router, url = start(command, "--worker-urls", worker, "--policy", "round_robin", "--prometheus-port", str(metrics_port))
        body = json.dumps({"model": "m", "stream": stream, "messages": [{"role": "user", "content": "hi"}]}).encode()
        urllib.request.urlopen(urllib.request.Request(url, body, {"content-type": "application/json"})).read()
        time.sleep(1)
        metrics = urllib.request.urlopen(f"http://127.0.0.1:{metrics_port}/metrics").read().decode()
        (told_s,) = [float(line.split()[-1]) for line in metrics.splitlines() if line.startswith(SUMS[name])]
        print(f"{name}: 2 s", "streamed" if stream else "in one piece", "count as 2 s:", told_s >= 2)
        router.terminate()
        router.wait()
PY
told=$(cd "$folder" && venv/bin/python ask.py)
echo "$told"
[ "$told" = "$(printf '%s\n' 'vllm-router: 2 s in one piece count as 2 s: True' 'vllm-router: 2 s streamed count as 2 s: False' 'sglang-router: 2 s in one piece count as 2 s: True' 'sglang-router: 2 s streamed count as 2 s: False')" ]
