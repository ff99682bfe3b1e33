#!/usr/bin/env bash
# litellm 1.110.2: what the Router's "latency-based-routing" compares of answers that do not stream is not their latency but
# the latency divided by the tokens of the answer. Of two deployments it keeps to the one that answers in 0.4 s with 40
# tokens and leaves the one that answers in 0.1 s with 2: a verbose or a reasoning model looks fast, a short answer slow,
# and waiting at a loaded server vanishes behind long answers.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check litellm==1.110.2
cat > "$folder/route.py" <<'PY'
import asyncio
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import litellm

SECONDS_AND_TOKENS = {"brief": (0.1, 2), "verbose": (0.4, 40)}

class Server(BaseHTTPRequestHandler):
    def do_POST(self):
        model = json.loads(self.rfile.read(int(self.headers["content-length"])))["model"]
        seconds, tokens = SECONDS_AND_TOKENS[model]
        time.sleep(seconds)
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}
        usage = {"prompt_tokens": 5, "completion_tokens": tokens, "total_tokens": 5 + tokens}
        text = json.dumps({"id": "1", "object": "chat.completion", "created": 1, "model": model, "choices": [choice], "usage": usage})
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args):
        pass

def deployment(name, port):
    settings = {"model": f"openai/{name}", "api_key": "k", "api_base": f"http://127.0.0.1:{port}/v1"}
    return {"model_name": "m", "model_info": {"id": name}, "litellm_params": settings}

async def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    deployments = [deployment(name, server.server_port) for name in SECONDS_AND_TOKENS]
    router = litellm.Router(model_list=deployments, routing_strategy="latency-based-routing")
    chosen = []
    for _ in range(10):
        answer = await router.acompletion("m", [{"role": "user", "content": "hi"}])
        chosen.append(answer._hidden_params["model_id"])
        await asyncio.sleep(0.2)  # its bookkeeping runs in the background
    print("first two:", *sorted(chosen[:2]))  # each is tried once, in either order
    print("then:", *chosen[2:])

asyncio.run(main())
PY
told=$(LITELLM_LOCAL_MODEL_COST_MAP=True "$folder/venv/bin/python" "$folder/route.py")
echo "$told"
[ "$told" = "$(printf 'first two: brief verbose\nthen: verbose verbose verbose verbose verbose verbose verbose verbose')" ]
