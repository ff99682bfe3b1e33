#!/usr/bin/env bash
# evalscope 1.14.1: `evalscope perf --multi-turn` tells a "KV Cache Hit Rate" of servers that say nothing of a cache, and of those that
# have none. Without `prompt_tokens_details` in the usage each turn counts the whole turn before, prompt and answer, as cached: five
# turns of one conversation come out at 70 %, and "Cached Prompt tok/s" with it, while "New Prompt tok/s" is under a third of what was
# prefilled. Nothing marks it as assumed. A server that reports 0 cached tokens gets the 0 % that both deserve.
set -euo pipefail
folder=$(mktemp -d); trap 'kill "${server:-}" 2> /dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps evalscope==1.14.1 # it brings a gigabyte more
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check aiohttp==3.14.5 colorlog==6.12.0 datasets==4.8.4 docstring_parser==0.18.0 \
  editdistance==0.8.1 fastapi==0.165.0 filetype==1.2.0 jsonlines==4.0.0 jsonschema==4.26.0 openai==3.57.0 pillow==13.0.0 rich==15.0.0 \
  sse-starlette==3.7.0 tabulate==0.10.0 uvicorn==0.54.0
cat > "$folder/serve.py" <<'PY'
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Chat(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = sum(len(message["content"].split()) for message in asked["messages"])
        usage = {"prompt_tokens": prompt, "completion_tokens": 10, "total_tokens": prompt + 10}
        if asked["model"] == "says-0-cached":
            usage["prompt_tokens_details"] = {"cached_tokens": 0}
        choice = {"index": 0, "message": {"role": "assistant", "content": "yes " * 10}, "finish_reason": "stop"}
        body = json.dumps({"id": "1", "object": "chat.completion", "model": asked["model"], "choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Chat)
print(server.server_port, flush=True)
server.serve_forever()
PY
"$folder/venv/bin/python" "$folder/serve.py" > "$folder/port" & server=$!
until [ -s "$folder/port" ]; do sleep 0.1; done
python3 - > "$folder/turns.jsonl" <<'PY'
import json

print(json.dumps([{"role": role, "content": "word " * 50} for _ in range(5) for role in ("user", "assistant")]))
PY
hits() {
  (cd "$folder" && venv/bin/evalscope perf --api openai --url "http://127.0.0.1:$(cat port)/v1/chat/completions" --model "$1" --no-stream \
    --multi-turn --dataset custom_multi_turn --dataset-path turns.jsonl --number 1 --parallel 1 --outputs-dir "$1" > "$1.txt" 2>&1)
  python3 - "$1" "$(find "$folder/$1" -name benchmark_summary.json)" <<'PY'
import json
import sys

summary = json.load(open(sys.argv[2]))
print(sys.argv[1], *[f"{name}: {summary[name]}" for name in ("Total Requests", "Avg Input Tokens", "KV Cache Hit Rate (%)")], sep=", ")
PY
}
told=$(hits says-nothing; hits says-0-cached)
echo "$told"
[ "$told" = "$(printf '%s, Total Requests: 5, Avg Input Tokens: 170.0, KV Cache Hit Rate (%%): %s\n' says-nothing 70.5882 says-0-cached 0.0)" ]
