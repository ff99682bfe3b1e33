#!/usr/bin/env bash
# aiperf 0.13.0: of a graph of conversations (`--custom-dataset-type dag_jsonl`) the `delay` of a turn, "milliseconds to wait before
# dispatching this turn", is kept only behind the turn before it in the same conversation. The first turn of a spawned conversation,
# and a turn that waits for what was spawned, leave at once: a tool of 2 s behind a helper's answer takes none. So agents are replayed
# quicker than they were, and ask more at a time than they did.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check aiperf==0.13.0
cat > "$folder/ask.py" <<'PY'
import json
import os
import pathlib
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

os.environ |= {"HF_HOME": str(pathlib.Path("hf").resolve()), "HF_HUB_OFFLINE": "1"}
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

seen = []

class Server(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        said, came = body["messages"][-1]["content"], time.monotonic()
        message = {"role": "assistant", "content": "hello"}
        usage = {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        answer = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())
        seen.append((said, came, time.monotonic()))

    def log_message(self, *args):
        pass

# a small tokenizer, laid where the cache of Hugging Face would have it
words = Tokenizer(models.BPE())
words.pre_tokenizer, words.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
wanted = trainers.BpeTrainer(vocab_size=1000, special_tokens=["<s>"], show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
words.train_from_iterator([pathlib.Path(subprocess.__file__).read_text()], wanted)
kept = pathlib.Path("hf/hub/models--local--words")
(kept / "refs").mkdir(parents=True)
(kept / "refs/main").write_text("0" * 40)
PreTrainedTokenizerFast(tokenizer_object=words, bos_token="<s>").save_pretrained(kept / "snapshots" / ("0" * 40))

def turn(text, **more):
    return {"messages": [{"role": "user", "content": text}], "max_tokens": 8, **more}

# a chat of two turns, and an agent that spawns a helper and waits for it: each second turn, and the helper's, has a delay of 2 s
rows = [{"session_id": "plain", "turns": [turn("ask"), turn("ask again", delay=2000)]},
        {"session_id": "agent", "turns": [turn("plan", spawns=["helper"]), turn("sum up", delay=2000)]},
        {"session_id": "helper", "turns": [turn("help", delay=2000)]}]
pathlib.Path("dag.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
command = ["venv/bin/aiperf", "profile", "-m", "m", "--url", f"http://127.0.0.1:{server.server_port}", "--endpoint-type", "chat",
           "--tokenizer", "local/words", "--input-file", "dag.jsonl", "--custom-dataset-type", "dag_jsonl",
           "--num-conversations", "2", "--concurrency", "2", "--workers-max", "1", "--output-artifact-dir", "out", "--ui", "none"]
subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=300)
came = {said: at for said, at, _ in seen}
over = {said: at for said, _, at in seen}
for after, said in [("ask", "ask again"), ("plan", "help"), ("help", "sum up")]:
    print(f"{said}: {round(came[said] - over[after], 1)} s after {after} was answered")
PY
told=$(cd "$folder" && venv/bin/python ask.py)
echo "$told"
[ "$told" = "$(printf '%s\n' 'ask again: 2.0 s after ask was answered' 'help: 0.0 s after plan was answered' 'sum up: 0.0 s after help was answered')" ]
