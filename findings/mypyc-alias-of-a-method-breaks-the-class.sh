#!/usr/bin/env bash
# mypyc (mypy 2.4.1): a second name for a method (`enter = join` in the class body) makes a class that cannot be constructed. mypy takes
# it under --strict, mypyc warns of an "unsupported default attribute value", builds the module all the same and exits with 0; each
# construction then raises SystemError from KeyError: 'join', where the interpreted class works under both names. The warning
# sounds like a name that is left out, and the module imports, so that nothing fails before the first object.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mypy==2.4.1 setuptools==80.9.0
cd "$folder"
cat > rooms.py <<'PY'
class Room:
    def __init__(self) -> None:
        self.people: list[str] = []

    def join(self, name: str) -> None:
        self.people.append(name)

    enter = join
PY
cat > use.py <<'PY'
import rooms

print(rooms.__file__.rpartition(".")[2], end=": ")
try:
    room = rooms.Room()
    room.join("Ada")
    room.enter("Bob")
    print(room.people)
except SystemError as error:
    print("SystemError from", repr(error.__cause__))
PY
venv/bin/mypy --strict rooms.py
before=$(venv/bin/python use.py)
venv/bin/mypyc --strict rooms.py > built.txt 2>&1
said=$(grep 'rooms.py:8' built.txt)
after=$(venv/bin/python use.py)
printf '%s\n' "$before" "$said" "$after"
[ "$before" = "py: ['Ada', 'Bob']" ]
[ "$said" = "rooms.py:8: warning: Unsupported default attribute value" ]
[ "$after" = "so: SystemError from KeyError('join')" ]
