#!/usr/bin/env bash
# outlines_core 0.2.14: `minimum` and `maximum` are dropped without a word on the way to the regular expression, for integers
# as for numbers, while bounds on strings and arrays are kept. A rating "from 1 to 5" held by it may be 999.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check outlines_core==0.2.14
told=$("$folder/venv/bin/python" - <<'PY'
import json
import re
from outlines_core.json_schema import build_regex_from_schema

def takes(schema, text):
    return re.fullmatch(build_regex_from_schema(json.dumps(schema)), text) is not None

print("a rating of 999:", takes({"type": "integer", "minimum": 1, "maximum": 5}, "999"))
print("a share of -7.5:", takes({"type": "number", "minimum": 0, "maximum": 1}, "-7.5"))
print("three letters of two:", takes({"type": "string", "maxLength": 2}, '"abc"'))
PY
)
echo "$told"
[ "$told" = "$(printf '%s\n' 'a rating of 999: True' 'a share of -7.5: True' 'three letters of two: False')" ]
