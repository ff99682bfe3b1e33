#!/usr/bin/env bash
# xgrammar 0.2.9 (what vLLM and SGLang keep structured output with): a string with any bound on its length, be it only
# "minLength": 1, cannot hold a character that JSON escapes. A model that is held to such a schema can write no quotation mark,
# no line break and no backslash: code, dialogue and paths come out bent, and nothing tells. Without the bound they are taken.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check xgrammar==0.2.9
told=$("$folder/venv/bin/python" - <<'PY'
import json
import xgrammar

letters = xgrammar.TokenizerInfo([bytes([byte]) for byte in range(256)] + [b"</s>"], stop_token_ids=[256])
compiler = xgrammar.GrammarCompiler(letters)

def takes(schema, value):
    matcher = xgrammar.GrammarMatcher(compiler.compile_json_schema(json.dumps(schema)))
    return matcher.accept_string(json.dumps(value)) and matcher.accept_token(256)

for schema in ({"type": "string"}, {"type": "string", "minLength": 1}):
    print(json.dumps(schema), *(takes(schema, text) for text in ("plain", 'a "word"', "two\nlines", "a\\b")))
PY
)
echo "$told"
[ "$told" = "$(printf '%s\n' '{"type": "string"} True True True True' '{"type": "string", "minLength": 1} True False False False')" ]
