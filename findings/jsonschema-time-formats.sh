#!/usr/bin/env bash
# jsonschema 4.26.0: FormatChecker() without a draft checks `time` by the rule of Draft 3 (hh:mm:ss and nothing more),
# so it refuses the times of RFC 3339 that every later draft asks for, and takes those that they refuse. The checker
# of the draft itself is right. Judging an LLM's structured output with the bare one calls valid answers wrong.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'jsonschema[format-nongpl]==4.26.0'
told=$("$folder/venv/bin/python" - <<'PY'
from jsonschema import Draft202012Validator, FormatChecker

for name, checker in (("bare", FormatChecker()), ("2020-12", Draft202012Validator.FORMAT_CHECKER)):
    check = Draft202012Validator({"type": "string", "format": "time"}, format_checker=checker)
    print(name, check.is_valid("12:34:56Z"), check.is_valid("12:34:56"))
PY
)
echo "$told"
[ "$told" = "$(printf 'bare False True\n2020-12 True False')" ]
