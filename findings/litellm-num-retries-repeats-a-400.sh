#!/usr/bin/env bash
# litellm 1.110.2: `completion(num_retries=2)` sends a request that the server refuses as wrong two times more, at once: 400 (an unknown
# field), 401 (the key), 404 (the model) and 413 (a prompt too long) alike. The OpenAI client beneath it sends each of them once, and so
# does litellm's Router with the same `num_retries=2`. Errors of callers count three times at the server, and a limit per minute with them.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check litellm==1.110.2 tenacity==9.2.1
cat > "$folder/ask.py" <<'PY'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import litellm
import openai

litellm.suppress_debug_info = True
MESSAGES = [{"role": "user", "content": "hi"}]
asked = []

class Server(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        asked.append(body["model"])
        text = json.dumps({"error": {"message": "no", "type": "invalid_request_error", "param": None, "code": None}})
        self.send_response(int(body["model"]))  # the model's name is the status
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/v1"

def requests_of(call):
    asked.clear()
    try:
        call()
    except Exception:  # each of them raises; how often it asked before is the question
        return len(asked)

for status in ("400", "401", "404", "413"):
    name = {"model": f"openai/{status}", "api_key": "k", "api_base": url}
    client = openai.OpenAI(base_url=url, api_key="k", max_retries=2)
    router = litellm.Router(model_list=[{"model_name": "m", "litellm_params": name}], num_retries=2)
    print(
        f"{status}: completion",
        requests_of(lambda: litellm.completion(messages=MESSAGES, num_retries=2, **name)),
        "Router",
        requests_of(lambda: router.completion("m", MESSAGES)),
        "openai",
        requests_of(lambda: client.chat.completions.create(model=status, messages=MESSAGES)),
    )
PY
told=$(cd "$folder" && LITELLM_LOCAL_MODEL_COST_MAP=True venv/bin/python ask.py)
echo "$told"
[ "$told" = "$(printf '%s: completion 3 Router 1 openai 1\n' 400 401 404 413)" ]
