#!/usr/bin/env bash
# tokenizers 0.23.3: the id that `added_tokens` of a tokenizer.json states is not kept where the token is not in
# model.vocab too. Ids with gaps are numbered through without a word: a special token that stands at 128006 in the
# published vocabulary comes out elsewhere, and prompts count and encode otherwise than on the server.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tokenizers==0.23.3
told=$("$folder/venv/bin/python" - <<'PY'
import json
from tokenizers import Tokenizer

def made(vocabulary):
    special = {"id": 10, "content": "<|x|>", "single_word": False, "lstrip": False, "rstrip": False,
               "normalized": False, "special": True}
    return Tokenizer.from_str(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [special], "normalizer": None,
        "pre_tokenizer": None, "post_processor": None, "decoder": None,
        "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
    }))

print("stated 10, not in the vocabulary:", made({"a": 0, "b": 1}).token_to_id("<|x|>"))
print("stated 10, in the vocabulary:", made({"a": 0, "b": 1, "<|x|>": 10}).token_to_id("<|x|>"))
PY
)
echo "$told"
[ "$told" = "$(printf 'stated 10, not in the vocabulary: 2\nstated 10, in the vocabulary: 10')" ]
