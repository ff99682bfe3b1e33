#!/usr/bin/env bash
# aiperf 0.13.0: in a graph of conversations (`--custom-dataset-type dag_jsonl`) what a spawned conversation `forks` should go on with
# all that was said in it. With more than one worker forks are sent to workers that do not have it, and then begin with
# their own message: prompts are shorter than stated, and a prefix cache finds less than it would. Forks of a conversation that nobody
# spawned keep theirs, and so does everybody with `--workers-max 1`.
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
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

os.environ |= {"HF_HOME": str(pathlib.Path("hf").resolve()), "HF_HUB_OFFLINE": "1"}
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

asked = []

class Server(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        asked.append([message["content"] for message in body["messages"]])
        message = {"role": "assistant", "content": "hello"}
        usage = {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        answer = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

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

def forked_with(workers, split, *above):
    """How many of eight forks of `split` were sent without what it said."""
    asked.clear()
    forks = [{"session_id": f"fork {number}", "turns": [turn(f"go on, {number}")]} for number in range(8)]
    rows = [*above, {"session_id": "split", "turns": [split]}, *forks]
    pathlib.Path("dag.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ["venv/bin/aiperf", "profile", "-m", "m", "--url", f"http://127.0.0.1:{server.server_port}", "--endpoint-type", "chat",
               "--tokenizer", "local/words", "--input-file", "dag.jsonl", "--custom-dataset-type", "dag_jsonl", "--num-conversations", "1",
               "--concurrency", "8", "--workers-max", str(workers), "--output-artifact-dir", "out", "--ui", "none"]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=300)
    forked = [messages for messages in asked if messages[-1].startswith("go on")]
    assert len(forked) == 8
    return sum(messages[0] != "split" for messages in forked)

server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
split = turn("split", forks=[f"fork {number}" for number in range(8)])
spawner = {"session_id": "root", "turns": [turn("begin", spawns=["split"]), turn("end")]}
print("one worker, spawned:", forked_with(1, split, spawner), "of 8 forks lost what was said")
print("four workers, at the root:", forked_with(4, split), "of 8 forks lost what was said")
print("four workers, spawned:", "some" if forked_with(4, split, spawner) else "none", "of 8 forks lost what was said")
PY
told=$(cd "$folder" && venv/bin/python ask.py)
echo "$told"
[ "$told" = "$(printf '%s\n' 'one worker, spawned: 0 of 8 forks lost what was said' 'four workers, at the root: 0 of 8 forks lost what was said' 'four workers, spawned: some of 8 forks lost what was said')" ]
