#!/usr/bin/env bash
# litellm 1.110.2: with the Router's "usage-based-routing-v2" a deployment of `rpm: 2` answers one request a minute, and two of `rpm: 5`
# eight, asked for one after the other: the last place of each is never given. The next request is refused with RateLimitError and a
# "retry-after" of 60 s, although every deployment has room and no server has said no. Small limits lose most, half of them at two.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check litellm==1.110.2
cat > "$folder/ask.py" <<'PY'
import asyncio
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import litellm

deployments, rpm = int(sys.argv[1]), int(sys.argv[2])
litellm.suppress_debug_info = True

class Server(BaseHTTPRequestHandler):
    def do_POST(self):
        model = json.loads(self.rfile.read(int(self.headers["content-length"])))["model"]
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}
        usage = {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}
        text = json.dumps({"id": "1", "object": "chat.completion", "created": 1, "model": model, "choices": [choice], "usage": usage})
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args):
        pass

async def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings = {"model": "openai/x", "api_key": "k", "api_base": f"http://127.0.0.1:{server.server_port}/v1", "rpm": rpm}
    models = [{"model_name": "m", "model_info": {"id": str(index)}, "litellm_params": settings} for index in range(deployments)]
    router = litellm.Router(model_list=models, routing_strategy="usage-based-routing-v2", num_retries=0)

    if time.time() % 60 > 45:  # its windows are minutes of the clock
        await asyncio.sleep(60 - time.time() % 60)
    answered = refused = 0
    for _ in range(deployments * rpm):
        try:
            await router.acompletion("m", [{"role": "user", "content": "hi"}])
            answered += 1
        except litellm.RateLimitError:
            refused += 1
        await asyncio.sleep(0.2)  # its bookkeeping runs in the background
    print(f"{deployments} x rpm {rpm}: {answered} answered, {refused} refused")

asyncio.run(main())
PY
cd "$folder"
export LITELLM_LOCAL_MODEL_COST_MAP=True
told=$(for case in "1 2" "1 10" "2 5"; do read -r deployments rpm <<< "$case"; venv/bin/python ask.py "$deployments" "$rpm" 2> errors; done)
echo "$told"
[ "$told" = "$(printf '%s\n' '1 x rpm 2: 1 answered, 1 refused' '1 x rpm 10: 9 answered, 1 refused' '2 x rpm 5: 8 answered, 2 refused')" ]
