#!/usr/bin/env bash
# aiperf 0.13.0: replaying a trace in Bailian's format (`--custom-dataset-type bailian-trace`), it puts the earlier turns and their
# answers before a prompt that already holds them. In the trace `input_length` is the whole prompt, as its `hash_ids` show: those of
# a turn begin with those of the turn before. A conversation of 96, 128 and 160 tokens is sent with 96, 224 and 384 and the answers, so
# that prefill and the context limit are tried by prompts that nobody sent, more so with every turn.
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
        asked.append(json.loads(self.rfile.read(int(self.headers["content-length"])))["messages"])
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

turns = [(159, -1, 1, 96), (160, 159, 2, 128), (161, 160, 3, 160)]
rows = [{"chat_id": chat, "parent_chat_id": parent, "turn": turn, "timestamp": 2.0 * turn, "type": "text", "input_length": tokens,
         "output_length": 8, "hash_ids": list(range(tokens // 16))} for chat, parent, turn, tokens in turns]
pathlib.Path("trace.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
command = ["venv/bin/aiperf", "profile", "-m", "m", "--url", f"http://127.0.0.1:{server.server_port}", "--endpoint-type", "chat",
           "--tokenizer", "local/words", "--input-file", "trace.jsonl", "--custom-dataset-type", "bailian-trace",
           "--fixed-schedule", "--workers-max", "1", "--output-artifact-dir", "out", "--ui", "none"]
subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=300)
for row, messages in zip(rows, asked, strict=True):
    own = [len(words.encode(message["content"]).ids) for message in messages if message["role"] == "user"]
    print("input_length", row["input_length"], "sent in prompts of", *own, "with", len(messages) - len(own), "answers")
PY
told=$(cd "$folder" && venv/bin/python ask.py)
echo "$told"
[ "$told" = "$(printf '%s\n' 'input_length 96 sent in prompts of 96 with 0 answers' 'input_length 128 sent in prompts of 96 128 with 1 answers' 'input_length 160 sent in prompts of 96 128 160 with 2 answers')" ]
