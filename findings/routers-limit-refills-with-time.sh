#!/usr/bin/env bash
# vllm-router 0.1.17, sglang-router 0.3.2: `--max-concurrent-requests 1` is not a limit on requests at once. It is a bucket of one
# token that an answer gives back and that time fills up too, by default with as many tokens a second as the limit says: where
# answers take longer than a second, one more begins each second whatever is running. Four asked for 1.5 s apart run together,
# though nobody has ended. `--rate-limit-tokens-per-second 0`, which should end that, counts as not said.
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
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Worker(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(b'{"data": [{"id": "m"}]}')

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        time.sleep(10)
        self.answer(b'{"choices": []}')

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

def ask(url):
    body = json.dumps({"model": "m", "stream": False, "messages": [{"role": "user", "content": "hi"}]})
    began = time.monotonic()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body.encode(), {"content-type": "application/json"})) as answer:
            status = answer.status
    except urllib.error.HTTPError as error:
        status = error.code
    return status, time.monotonic() - began

ROUTERS = {"vllm-router": ["venv/bin/vllm-router"], "sglang-router": ["venv/bin/sglang-router", "launch"]}

LIMIT = ("--max-concurrent-requests", "1", "--queue-size", "0", "--rate-limit-tokens-per-second", "0")
worker = f"http://127.0.0.1:{serve().server_port}"
for name, command in ROUTERS.items():
    router, url = start(command, "--worker-urls", worker, "--policy", "round_robin", *LIMIT)
    with ThreadPoolExecutor(4) as pool:
        answers = []
        for _ in range(4):
            answers.append(pool.submit(ask, url))
            time.sleep(1.5)
        unfinished = sum(not answer.done() for answer in answers)
        print(f"{name}: answers of 10 s under way after 6 s:", unfinished)
        [answer.result() for answer in answers]
    router.terminate()
    router.wait()
PY
told=$(cd "$folder" && venv/bin/python ask.py)
echo "$told"
[ "$told" = "$(printf 'vllm-router: answers of 10 s under way after 6 s: 4\nsglang-router: answers of 10 s under way after 6 s: 4')" ]
