#!/usr/bin/env bash
# lm-format-enforcer 0.11.3: `oneOf` means one of several objects, whatever its branches say. Held to "an integer or a string" a model
# can write {} and nothing else, neither 1 nor "x"; held to "this object or null" it can write {} in place of null, though that object
# requires a member. `anyOf` with the same branches takes just what they say, and so does `oneOf` where all are objects: a test with
# those shows nothing. The answer is valid JSON, comes without a word, and fails in the caller's validation.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check lm-format-enforcer==0.11.3
told=$("$folder/venv/bin/python" - <<'PY'
from lmformatenforcer import JsonSchemaParser

def takes(schema, text):
    held = JsonSchemaParser(schema)
    for character in text:
        if character not in held.get_allowed_characters():
            return False
        held = held.add_character(character)
    return held.can_end()

member = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
other = {"type": "object", "properties": {"b": {"type": "integer"}}, "required": ["b"]}
cases = {
    "integer or string": ([{"type": "integer"}, {"type": "string"}], ("1", '"x"', "{}")),
    "object or null": ([member, {"type": "null"}], ('{"a":1}', "null", "{}")),
    "object or object": ([member, other], ('{"a":1}', '{"b":1}', "{}")),
}
for name, (branches, texts) in cases.items():
    for word in ("anyOf", "oneOf"):
        print(f"{name}, {word}:", *(text for text in texts if takes({word: branches}, text)))
PY
)
echo "$told"
[ "$told" = "$(printf '%s\n' 'integer or string, anyOf: 1 "x"' 'integer or string, oneOf: {}' \
  'object or null, anyOf: {"a":1} null' 'object or null, oneOf: {"a":1} {}' \
  'object or object, anyOf: {"a":1} {"b":1}' 'object or object, oneOf: {"a":1} {"b":1}')" ]
