"""The live server as its users meet it: a process, real sockets, curl, a signal."""

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from tests.support.cli import e80sim
from tests.support.live import LLAMA, chat, scenario
from tests.support.served import Served, serve

pytestmark = pytest.mark.realtime
KEY = {"authorization": "Bearer sk-me"}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    server = serve(tmp_path, "--listen", "away:0", "aws:us-west-2:0")
    yield server
    server.end()


def curl(*arguments: str) -> str:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    done = subprocess.run(["curl", "-sS", "-m", "20", *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def test_curl_gets_answers_streams_models_and_errors(served: Served) -> None:
    url, auth = served.urls[0], "Authorization: Bearer sk-me"
    body = json.dumps(chat(max_tokens=3))
    answer = json.loads(curl(f"{url}/v1/chat/completions", "-H", auth, "-d", body))
    assert answer["usage"]["total_tokens"] == 14
    lines = curl("-N", f"{url}/v1/chat/completions", "-H", auth, "-d", json.dumps(chat(stream=True))).split(
        "\n\n"
    )
    assert lines[-2] == "data: [DONE]"
    assert lines[-3].startswith(": x-sim ")
    for written in (LLAMA, LLAMA.replace("/", "%2F")):
        model = json.loads(curl("--path-as-is", f"{url}/v1/models/{written}", "-H", auth))
        assert model["id"] == LLAMA
    assert json.loads(curl(f"{url}/v1/models"))["error"]["type"] == "invalid_request_error"
    assert json.loads(curl(f"{url}/health")) == {"status": "ok"}
    assert "e80sim:lateness_seconds_bucket" in curl(f"{url}/metrics")


def test_each_listener_is_a_place_and_real_time_passes_as_simulated(served: Served) -> None:
    """The second request of each caller, on a warm connection: 21 ms of work plus the way there and back."""
    places = {}
    for url in served.urls:
        with httpx.Client(base_url=url, headers=KEY) as client:
            client.post("/v1/chat/completions", json=chat(max_tokens=2))
            reply = client.post("/v1/chat/completions", json=chat(max_tokens=2))
        simulated_s = int(reply.headers["x-sim-ended-ps"]) - int(reply.headers["x-sim-sent-ps"])
        wall_s = reply.elapsed.total_seconds()
        assert wall_s >= simulated_s / 10**12
        assert wall_s < simulated_s / 10**12 + 0.5
        places[reply.headers["x-sim-place"]] = simulated_s / 10**9
    assert list(places) == ["here", "away", "aws_us_west_2"]
    assert places["here"] == 21
    assert places["away"] == 41
    assert places["aws_us_west_2"] > 70


def test_the_dashboard_opens_with_the_token_that_only_the_servers_user_can_read(tmp_path: Path) -> None:
    """No line that is kept in a log has it, unless it has no other place."""
    file = tmp_path / "state" / "dashboard-token"
    tokens = []
    for _ in range(2):
        server = serve(tmp_path, "--state", str(file.parent))
        assert f"e80sim: dashboard: {server.urls[0]}/dashboard, its token in {file}" in server.lines
        assert file.stat().st_mode & 0o777 == 0o600
        token = file.read_text().strip()
        with httpx.Client(base_url=f"{server.urls[0]}/dashboard", follow_redirects=True) as client:
            assert "Sign in" in client.get("").text
            page = client.post("/sign-in", data={"token": token})
            assert "Sign out" in page.text
            assert "Sign out" in client.get("/traces").text
        assert server.end() == 0
        assert token not in "".join(server.lines)
        tokens.append(token)
    assert tokens[0] != tokens[1]
    server = serve(tmp_path)  # keeps nothing
    (token,) = re.findall(r"/dashboard#token=([\w-]{43})$", "\n".join(server.lines), re.MULTILINE)
    reply = httpx.post(f"{server.urls[0]}/dashboard/sign-in", data={"token": token})
    assert (reply.status_code, reply.headers["location"]) == (303, "/dashboard")
    server.end()


def test_sigterm_lets_answers_end_and_then_exits_cleanly(tmp_path: Path) -> None:
    """The answer takes 1.5 s; the signal comes in the middle of it."""
    server = serve(tmp_path)
    with httpx.Client(base_url=server.urls[0], headers=KEY) as client:
        body = chat(stream=True, max_tokens=150, ignore_eos=True)
        with client.stream("POST", "/v1/chat/completions", json=body) as reply:
            chunks = reply.iter_text()
            next(chunks)
            server.process.send_signal(signal.SIGTERM)
            rest = "".join(chunks)
    assert rest.endswith("data: [DONE]\n\n")
    assert server.end() == 0
    assert "1 requests answered" in server.lines[-1]


def test_a_second_sigterm_ends_at_once_and_without_a_word_of_errors(tmp_path: Path) -> None:
    """Five answers of 19 s each, one of them not streamed; their clients are hung up on."""
    server = serve(tmp_path)
    url = httpx.URL(server.urls[0])
    clients = [socket.create_connection((url.host, url.port)) for _ in range(5)]
    for number, client in enumerate(clients):
        body = json.dumps(chat(stream=number > 0, max_tokens=1900, ignore_eos=True)).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n"
        client.sendall(head.encode() + b"authorization: Bearer k\r\n\r\n" + body)
    for client in clients[1:]:
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK")
    server.process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        server.process.wait(0.5)  # it lets answers end
    server.process.send_signal(signal.SIGTERM)
    assert server.end(10) == 0
    for client in clients:
        client.close()
    assert server.lines[-1] == "e80sim: none of 5 requests was answered"
    assert len(server.lines) == 6, server.lines


def test_a_killed_server_has_kept_what_it_acknowledged(tmp_path: Path) -> None:
    """The next server on the directory hands the file out; a third one beside it is refused."""
    state = tmp_path / "state"
    server = serve(tmp_path, "--state", str(state))
    with httpx.Client(base_url=server.urls[0], headers=KEY) as client:
        file = client.post("/v1/files", data={"purpose": "batch"}, files={"file": ("in.jsonl", b"{}")}).json()
    server.process.kill()
    server.end()
    server = serve(tmp_path, "--state", str(state))
    with httpx.Client(base_url=server.urls[0], headers=KEY) as client:
        assert client.get("/v1/files").json()["data"] == [file]
        assert client.get(f"/v1/files/{file['id']}/content").content == b"{}"
    third = [sys.executable, "-m", "sim", "serve", "--port", "0", "--state", str(state)]
    refused = subprocess.run(third, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 2
    assert "another server is using it" in refused.stderr
    assert server.end() == 0


def test_a_page_may_be_allowed_by_its_origin_and_streams_may_end_without_stamps(tmp_path: Path) -> None:
    server = serve(tmp_path, "--cors", "http://localhost:3000", "--no-sim-comment")
    with httpx.Client(base_url=server.urls[0], headers=KEY | {"origin": "http://localhost:3000"}) as client:
        reply = client.post("/v1/chat/completions", json=chat(stream=True, max_tokens=2))
    assert reply.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert "x-sim" not in reply.text
    assert server.end() == 0


def test_a_client_that_vanishes_mid_stream_frees_its_node(served: Served) -> None:
    url = httpx.URL(served.urls[0])
    body = json.dumps(chat(stream=True, max_tokens=1900, ignore_eos=True)).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n"
    with socket.create_connection((url.host, url.port)) as client:
        client.sendall(head.encode() + b"authorization: Bearer k\r\n\r\n" + body)
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK")
    with httpx.Client(base_url=url, headers=KEY) as asking:
        for _ in range(100):
            if "e80sim:requests_inside 0.0" in asking.get("/metrics").text:
                return
    pytest.fail("the request is still inside the model")


def test_at_speed_ten_waits_are_told_in_the_clients_time(tmp_path: Path) -> None:
    """A request refills in 30 simulated seconds, which are 3 of the client's."""
    limits = {"requests_per_minute": 2, "tokens_per_minute": 10_000}
    server = serve(tmp_path, "--speed", "10", limits=limits)
    with httpx.Client(base_url=server.urls[0], headers=KEY) as client:
        replies = [client.post("/v1/chat/completions", json=chat(max_tokens=1)) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [200, 200, 429]
    assert 2000 < int(replies[-1].headers["retry-after-ms"]) <= 3000
    assert server.end() == 0


def test_words_can_come_from_another_server_and_the_run_says_so(tmp_path: Path) -> None:
    words = serve(tmp_path, "--content", "echo", "--no-auth")
    server = serve(tmp_path, "--content", f"upstream:{words.urls[0]}/v1")
    with httpx.Client(base_url=server.urls[0], headers=KEY) as client:
        reply = client.post("/v1/chat/completions", json=chat("Say this"))
        assert reply.json()["choices"][0]["message"]["content"] == "Say this"
        assert "e80sim:paced 0.0" in client.get("/metrics").text
        assert words.end() == 0
        lost = client.post("/v1/chat/completions", json=chat("Say this"))
    assert (lost.status_code, lost.json()["error"]["type"]) == (503, "server_error")
    assert server.end() == 0
    assert "not paced" in server.lines[-1]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--listen", "nowhere:1"], "there is no place nowhere"),
        (["--listen", "8081"], "write it as PLACE:PORT"),
        (["--listen", "mars:north:1"], "mars:north"),
        (["--content", "poetry"], "it is synthetic, echo, replay:FILE or upstream:URL"),
        (["--content", "replay:/no/such/file"], "cannot read /no/such/file"),
        (["--stream-chunks", "letters"], "is not one of 'per_token', 'coalesced'"),
        (["--variant", "other"], "there is no variant `other`; there are `base`"),
        (["--cors", "http://localhost:3000/"], "write it as SCHEME://HOST[:PORT]"),
    ],
)
def test_a_users_mistake_is_one_sentence(tmp_path: Path, options: list[str], sentence: str) -> None:
    file = tmp_path / "served.yaml"
    file.write_text(yaml.safe_dump(scenario().model_dump(mode="json", exclude_unset=True), sort_keys=False))
    done = e80sim("serve", [str(file), "--port", "0", *options])
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_told(tmp_path: Path, served: Served) -> None:
    file = tmp_path / "served.yaml"
    port = str(httpx.URL(served.urls[0]).port)
    done = subprocess.run(
        [sys.executable, "-m", "sim", "serve", str(file), "--port", port],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "cannot listen on 127.0.0.1" in done.stderr
