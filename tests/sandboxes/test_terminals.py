"""Terminals of a live server, as 8080's clients of either dialect speak, and what a killed server leaves."""

import json
import re
import subprocess
import sys
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.sandboxes.conftest import processes_named
from tests.support.live import scenario_of_llama
from tests.support.websocket import WebSocketClient, pause, seconds

pytestmark = pytest.mark.realtime
KEY = "sk-me"
HEADERS = {"authorization": f"Bearer {KEY}"}


@pytest.fixture(scope="module")
def server(isolation: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address."""
    assert isolation is None
    process, url = serve(tmp_path_factory.mktemp("served"))
    yield url
    process.terminate()
    process.wait(30)


def serve(folder: Path) -> "tuple[subprocess.Popen[str], str]":
    file = folder / "served.yaml"
    file.write_text(json.dumps(scenario_of_llama().model_dump(mode="json", exclude_unset=True)))
    log = (folder / "log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "sim", "serve", str(file), "--port", "0"], stderr=log, text=True
    )
    log.close()
    until = seconds() + 60
    while not (found := re.search(r"http://[\d.]+:\d+", (folder / "log").read_text())):
        assert seconds() < until
        assert process.poll() is None
        pause()
    return process, found[0]


@pytest.fixture
def sandbox(server: str) -> Iterator[Any]:
    created = httpx.post(f"{server}/v1/sandboxes", json={}, headers=HEADERS, timeout=30).json()
    yield created
    httpx.delete(f"{server}/v1/sandboxes/{created['id']}", headers=HEADERS, timeout=30)


def newer(server: str, id_: str, key: str | None = KEY) -> WebSocketClient:
    query = "initial_height=33&initial_width=101&color=True&project_slug=demo-app"
    return WebSocketClient(f"{server}/v1/sandboxes/{id_}/exec?{query}", key)


def older(server: str, id_: str, key: str | None = KEY) -> WebSocketClient:
    return WebSocketClient(f"{server}/api/sandbox/org/demo-app/{id_}/connect", key)


def typed(text: bytes) -> Any:
    return {"input": urlsafe_b64encode(text).decode()}


def shown_until(client: WebSocketClient, text: str) -> str:
    seen = ""
    while text not in seen:
        frame = client.frame()
        assert frame is not None, seen
        assert frame.keys() == {"output_source", "output"}
        assert frame["output_source"] in {"stdout", "stderr"}
        seen += frame["output"]
    return seen


def test_a_terminal_shows_its_size_follows_it_and_closes_a_while_after_its_end(
    server: str, sandbox: Any
) -> None:
    with newer(server, sandbox["id"]) as client:
        assert client.status == 101
        client.send(typed(b"stty size\n"))
        shown_until(client, "33 101")
        client.send({"resize": {"height": 50, "width": 132}})
        client.send(typed(b"stty size\n"))
        shown_until(client, "50 132")
        # One process for both: between two commands of its own bash 5.2 can lose a ^C.
        client.send(typed(b"(echo go''ing; exec sleep 60)\n"))
        shown_until(client, "going\r\n")
        client.send(typed(b"\x03"))
        shown_until(client, "sandbox:~$ ")
        line = typed(b"echo '???>>>~~~'; echo 'caf\xc3\xa9'; echo en''d\n")
        assert {"-", "_"} <= set(line["input"])  # where the alphabets differ
        client.send(line)
        assert "café\r\n" in shown_until(client, "end\r\n")
        client.send(typed(b"exit 3\n"))
        frame: Any = {}
        last = seconds()
        while frame is not None:
            last, frame = seconds(), client.frame()
            assert frame is None or frame.keys() == {"output_source", "output"}
        assert client.closed == 1000
        assert seconds() - last > 0.9


def test_characters_are_whole_even_if_their_bytes_come_apart(server: str, sandbox: Any) -> None:
    with newer(server, sandbox["id"]) as client:
        client.send(typed(rb"stty -echo; printf 'a\303'; sleep 0.3; printf '\251b\n'; echo en''d" + b"\n"))
        assert "aéb" in shown_until(client, "end\r\n")


def test_the_older_dialect_has_an_exit_code(server: str, sandbox: Any) -> None:
    with older(server, sandbox["id"]) as client:
        client.send({"type": "resize", "cols": 99, "rows": 44})
        client.send({"type": "input", "data": b64encode(b"stty size; exit 3\n").decode()})
        frames: list[Any] = []
        while (frame := client.frame()) is not None:
            frames.append(frame)
    shown = b"".join(b64decode(frame["data"]) for frame in frames if frame["type"] == "output")
    assert b"44 99" in shown
    assert frames[-1] == {"type": "exit", "code": 3}
    assert client.closed == 1000


@pytest.mark.parametrize("connect", [newer, older])
def test_a_handshake_is_refused_with_a_status(server: str, sandbox: Any, connect: Any) -> None:
    for id_, key, status in [
        (sandbox["id"], None, 401),
        ("sbx_none", KEY, 404),
        (sandbox["id"], "sk-other", 404),
    ]:
        with connect(server, id_, key) as client:
            assert client.status == status
            assert json.loads(client.refusal)["error"]["message"]


def test_no_page_of_somebody_elses_gets_a_terminal(server: str, sandbox: Any) -> None:
    url = f"{server}/v1/sandboxes/{sandbox['id']}/exec"
    with WebSocketClient(url, KEY, origin="https://page.example") as client:
        assert client.status == 403
        assert "--cors" in json.loads(client.refusal)["error"]["message"]


@pytest.mark.parametrize("frame", ["{", "[]", '{"input": 3}', '{"input": "*"}', '{"resize": {"height": 0}}'])
def test_a_frame_that_is_none_is_told_and_the_closing_left_to_the_client(
    server: str, sandbox: Any, frame: str
) -> None:
    with newer(server, sandbox["id"]) as client:
        client.send(frame)
        while "message" not in (told := client.frame()):
            assert told is not None
        assert told.keys() == {"message"}


def test_stopping_the_sandbox_ends_its_terminals_with_the_reason(server: str, sandbox: Any) -> None:
    with newer(server, sandbox["id"]) as client:
        client.send(typed(b"echo re''ady\n"))
        shown_until(client, "ready")
        for _ in range(2):
            stopped = httpx.post(f"{server}/v1/sandboxes/{sandbox['id']}/stop", headers=HEADERS, timeout=30)
            assert stopped.json()["status"] == "finished"
        while "message" not in (told := client.frame()):
            assert told is not None
        assert told["message"] == "the sandbox has ended: stopped"


def test_a_client_that_leaves_takes_its_shell_along(server: str, sandbox: Any) -> None:
    mark = f"mark-left-{sandbox['id']}"
    with newer(server, sandbox["id"]) as client:
        client.send(typed(f"exec -a {mark} sleep 600\n".encode()))
        until = seconds() + 20
        while not processes_named(mark):
            assert seconds() < until
            pause()
    while processes_named(mark):
        assert seconds() < until
        pause()


def test_kill_9_of_a_server_leaves_none_of_its_sandboxes(isolation: None, tmp_path: Path) -> None:
    assert isolation is None
    process, url = serve(tmp_path)
    created = httpx.post(f"{url}/v1/sandboxes", json={}, headers=HEADERS, timeout=30).json()
    mark = f"mark-server-{process.pid}"
    start = "os.setsid(), os.execv('/bin/bash', [MARK, '-c', 'sleep 600; :'])"
    daemon = f"import os\nif os.fork() == 0:\n    {start}"
    ran = httpx.post(
        f"{created['address']}/python/run",
        json={"code": daemon.replace("MARK", repr(mark))},
        headers={"authorization": f"Bearer {created['auth_token']}"},
        timeout=30,
    )
    assert ran.json()["exit_code"] == 0
    until = seconds() + 20
    while not processes_named(mark):
        assert seconds() < until
        pause()
    process.kill()
    process.wait(30)
    while processes_named(mark):
        assert seconds() < until
        pause()
