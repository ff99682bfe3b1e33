#!/usr/bin/env bash
# mypyc (mypy 2.4.1): `super().__init__(*values)` to a constructor of two named parameters passes the whole tuple as the first
# one. mypy accepts the class under --strict, mypyc compiles it without a word, and each construction then raises TypeError,
# where the interpreted class works. A parent that takes `*values` itself is called rightly, so the fault stays hidden until
# some class narrows its parameters.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mypy==2.4.1 setuptools==80.9.0
cd "$folder"
cat > pairs.py <<'PY'
class Pair:
    def __init__(self, left: int, right: int) -> None:
        self.left = left
        self.right = right


class Spread(Pair):
    def __init__(self, *values: int) -> None:
        super().__init__(*values)
PY
cat > use.py <<'PY'
import pairs

print(pairs.__file__.rpartition(".")[2], end=": ")
try:
    print(pairs.Spread(1, 2).right)
except TypeError as error:
    print("TypeError:", error)
PY
venv/bin/mypy --strict pairs.py
before=$(venv/bin/python use.py)
venv/bin/mypyc --strict pairs.py > built.txt 2>&1
warnings=$(grep -c 'pairs.py.*: \(warning\|error\|note\)' built.txt || true)
after=$(venv/bin/python use.py)
printf '%s\n' "$before" "$after" "words of mypyc about the class: $warnings"
[ "$before" = "py: 2" ]
[ "$after" = "so: TypeError: int object expected; got tuple[int, int]" ]
[ "$warnings" = 0 ]
