#!/usr/bin/env bash
# JSON Schema's `pattern` finds its place anywhere in the text. llguidance 1.9.1 takes it so; outlines_core 0.2.14 (and xgrammar
# 0.2.9, not run here) holds the whole text to it. The same schema on two servers allows different answers: "pattern": "b" is
# "contains a b" on one and the single letter on the other, which a validator afterwards does not notice.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check outlines_core==0.2.14 llguidance==1.9.1 jsonschema==4.26.0
told=$("$folder/venv/bin/python" - <<'PY'
import json
import re
from jsonschema import Draft202012Validator
from llguidance import LLMatcher, LLTokenizer
from outlines_core.json_schema import build_regex_from_schema

letters = LLTokenizer("byte")

def llguidance_takes(schema, text):
    matcher = LLMatcher(letters, LLMatcher.grammar_from_json_schema(json.dumps(schema)))
    return matcher.consume_tokens(letters.tokenize_str(text)) and matcher.is_accepting()

schema, text = {"type": "string", "pattern": "b"}, '"abc"'
print("jsonschema:", Draft202012Validator(schema).is_valid(json.loads(text)))
print("llguidance:", llguidance_takes(schema, text))
print("outlines_core:", re.fullmatch(build_regex_from_schema(json.dumps(schema)), text) is not None)
PY
)
echo "$told"
[ "$told" = "$(printf '%s\n' 'jsonschema: True' 'llguidance: True' 'outlines_core: False')" ]
