"""The page that walks 8080's guides: every block of shell on it, in its order, as one session of a person."""

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from with_e80_platform import API, KEY, PATIENCE_S, Person

PAGE = Path(__file__).parents[3] / "docs" / "8080-guides.md"
CLIENT = version("e80").removeprefix("0.1.0")
BLOCK = re.compile(r"^```sh *(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> list[str]:
    return [text for of, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")) if of in {"", CLIENT}]


def script() -> str:
    """With the server of the tests and a key of it, and a port that is free for the application."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    page = "".join(f"echo '## block {number}'\n{text}" for number, text in enumerate(blocks()))
    ours = {"http://127.0.0.1:8080": API, "8090": str(port), "sk-me": KEY}
    for theirs, here in ours.items():
        page = page.replace(theirs, here)
    return f"set -e -o pipefail\n{page}"


def test_every_command_of_the_page_does_what_the_page_says(tmp_path: Path) -> None:
    person = Person(tmp_path)
    programs = f"{Path(sys.executable).parent}{os.pathsep}{person.environment['PATH']}"
    output = tmp_path / "output"
    with output.open("wb") as heard:
        session = subprocess.Popen(
            ["bash", "-c", script()],
            stdout=heard,
            stderr=heard,
            cwd=tmp_path / "project",
            env=person.environment | {"PATH": programs},
            start_new_session=True,
        )
    try:
        status = session.wait(5 * PATIENCE_S)
    finally:
        with suppress(ProcessLookupError):  # without job control `kill %1` leaves what `dev` has started
            os.killpg(session.pid, signal.SIGKILL)
    said = output.read_text(errors="replace")
    assert status == 0, said[-6000:]
    assert "Login successful" in said
    assert said.count('"object":"chat.completion"') >= 2
    assert "8080/taalas/llama3.1-8b-instruct" in said
    assert "/edge/deployment/dep_" in said.replace("\n", "")


def test_commands_of_both_clients_stand_on_the_page() -> None:
    marks = {of for of, _ in BLOCK.findall(PAGE.read_text(encoding="utf-8"))}
    assert marks == {"", "a13", "a14"}
