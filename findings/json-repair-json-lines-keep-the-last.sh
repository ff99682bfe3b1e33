#!/usr/bin/env bash
# json-repair 0.64.4: of JSON Lines it keeps the last object alone, and drops those before it without a word, as long as all have the
# same keys and types of values: two tool calls, one a line, become one. With a value of another type in one of them, another key,
# or a comma between, all are there, as a list. What it takes for a model's correction of itself is what a model writes that was
# asked for several objects, and a test with two unlike objects shows nothing of it.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check json-repair==0.64.4
told=$("$folder/venv/bin/python" - <<'PY'
import json

import json_repair

def lines(*values):
    return "\n".join(json.dumps(value) for value in values)

paris, rome = ({"name": "weather", "arguments": {"city": city}} for city in ("Paris", "Rome"))
number = {"name": "weather", "arguments": {"city": 75001}}
print("two alike:", json_repair.repair_json(lines(paris, rome)))
print("two unlike:", json_repair.repair_json(lines(paris, number)))
print("a comma between:", json_repair.repair_json(lines(paris, rome).replace("\n", ",")))
print("four rows of two kinds:", json_repair.repair_json(lines({"a": 1}, {"a": 2}, {"b": 3}, {"b": 4})))
PY
)
echo "$told"
[ "$told" = "$(printf '%s\n' 'two alike: {"name": "weather", "arguments": {"city": "Rome"}}' \
  'two unlike: [{"name": "weather", "arguments": {"city": "Paris"}}, {"name": "weather", "arguments": {"city": 75001}}]' \
  'a comma between: [{"name": "weather", "arguments": {"city": "Paris"}}, {"name": "weather", "arguments": {"city": "Rome"}}]' \
  'four rows of two kinds: [{"a": 2}, {"b": 4}]')" ]
