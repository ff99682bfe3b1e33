#!/usr/bin/env bash
# xgrammar 0.2.9: a number with a minimum or a maximum is held to at most six decimals, and to no exponent. A model asked for a
# probability ("exclusiveMinimum": 0, "maximum": 1) can say nothing between 0 and 0.000001, and "1e3" is refused where 1000 is
# taken. Without a bound both are free.
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

for schema in ({"type": "number"}, {"type": "number", "minimum": 0}):
    print(json.dumps(schema), *(takes(schema, text) for text in ("0.123456", "0.1234567", "1000", "1e3")))
PY
)
echo "$told"
[ "$told" = "$(printf '%s\n' '{"type": "number"} True True True True' '{"type": "number", "minimum": 0} True False True False')" ]
