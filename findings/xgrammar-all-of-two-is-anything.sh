#!/usr/bin/env bash
# xgrammar 0.2.9: `allOf` with two branches constrains nothing, not even what both of them say: any JSON passes, and a line
# on stderr is the only sign. With one branch it holds. An API that keeps `strict` by it answers 200 with values of any type.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check xgrammar==0.2.9
told=$("$folder/venv/bin/python" - <<'PY'
import json
import xgrammar

letters = xgrammar.TokenizerInfo([bytes([byte]) for byte in range(256)] + [b"</s>"], stop_token_ids=[256])
compiler = xgrammar.GrammarCompiler(letters)

def takes(schema, text):
    matcher = xgrammar.GrammarMatcher(compiler.compile_json_schema(json.dumps(schema)))
    return matcher.accept_string(text) and matcher.accept_token(256)

whole, small = {"type": "integer", "minimum": 3}, {"type": "integer", "maximum": 9}
for schema in ({"allOf": [whole]}, {"allOf": [whole, small]}):
    print(json.dumps(schema), *(takes(schema, text) for text in ("5", "2", '"text"', "[]")))
PY
)
echo "$told"
[ "$told" = "$(printf '%s\n' '{"allOf": [{"type": "integer", "minimum": 3}]} True False False False' '{"allOf": [{"type": "integer", "minimum": 3}, {"type": "integer", "maximum": 9}]} True True True True')" ]
