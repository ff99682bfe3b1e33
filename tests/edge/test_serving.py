"""`e80sim serve --app`: a real server with a real application, asked over real sockets."""

import json
import re
import socket
import stat
import time  # noqa: TID251 -- a real server takes real time
from collections.abc import Iterator
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import httpx
import pytest

from tests.edge.apps import SOURCE
from tests.support.cli import e80sim
from tests.support.live import MS
from tests.support.served import Served, serve
from tests.support.websocket import WebSocketClient

KEYS = {"sk-one": {"project": "my_chat"}, "sk-two": {"project": "other"}, "sk-alike": {"project": "other_"}}
KEY_TWO = {"authorization": "Bearer sk-two"}
ALIKE = {"authorization": "Bearer sk-alike"}
MANIFEST = """\
project: My Chat
organization_slug: us
entrypoint: main:app
memory_size_mb: 256
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("app")
    (folder / "8080.yaml").write_text(MANIFEST)
    (folder / "main.py").write_text(SOURCE)
    served = serve(folder, "--app", str(folder), "--state", ":memory:", serve={"keys": KEYS})
    yield served
    assert served.end() == 0


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    [url] = served.urls
    with httpx.Client(base_url=f"{url}/hosted/my-chat", headers={"authorization": "Bearer sk-one"}) as client:
        yield client


def stamps(answer: httpx.Response) -> dict[str, int]:
    return {
        found[1]: int(value)
        for name, value in answer.headers.items()
        if (found := re.match(r"x-sim-(.*)-ps", name))
    }


def test_an_application_is_reached_at_a_host_and_under_a_path(served: Served, client: httpx.Client) -> None:
    assert client.get("/").text == "hello"
    [address] = [line for line in served.lines if "main:app in " in line]
    [by_host, by_path] = re.findall(r"http://\S+/", address)
    key = {"authorization": "Bearer sk-one"}
    below = httpx.get(by_path, headers=key)
    assert below.text == "hello"
    about_all_pages = {"set-cookie", "clear-site-data"}
    assert not about_all_pages & below.headers.keys(), "the dashboard has the same address"
    port = httpx.URL(by_host).port
    named = httpx.get(
        f"http://127.0.0.1:{port}/", headers={**key, "host": f"my-chat.hosted.localhost:{port}"}
    )
    assert named.text == "hello"
    assert about_all_pages <= named.headers.keys()
    assert any(re.fullmatch(r"e80sim: app my-chat: running, after [\d.]+ s", line) for line in served.lines)


def test_all_of_a_request_goes_to_the_application(client: httpx.Client) -> None:
    method, query, headers, body = eval(client.patch("/echo?a=%20b", content=b"raw").text)
    assert (method, query, body) == ("PATCH", b"a=%20b", b"raw")
    told = dict(headers)
    assert re.fullmatch(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-00", told[b"traceparent"])
    assert told[b"authorization"] == b"Bearer sk-one"
    assert told[b"x-forwarded-prefix"] == b"/hosted/my-chat"
    assert client.get("/nowhere").status_code == HTTPStatus.NOT_FOUND
    assert client.head("/").headers["x-of-app"] == "yes"


@pytest.mark.parametrize(
    ("request_line", "headers", "said"),
    [
        ("GET /hosted/my-chat/ HTTP/1.0", "", b"200 OK"),
        ("GET /hosted/my-chat/ HTTP/1.1", "Host: a\r\nHost: b\r\n", b"400 Bad Request"),
    ],
)
def test_how_many_hosts_a_request_names_is_its_users_affair(
    served: Served, request_line: str, headers: str, said: bytes
) -> None:
    """Of an older one none, and never two: an application would be told either."""
    [url] = served.urls
    address = httpx.URL(url)
    with socket.create_connection((address.host, address.port or 80), 20) as connection:
        key = "Authorization: Bearer sk-one\r\nConnection: close\r\n\r\n"
        connection.sendall(f"{request_line}\r\n{headers}{key}".encode())
        assert said in connection.makefile("rb").readline()


def test_a_users_way_takes_its_time_and_the_edge_none(client: httpx.Client) -> None:
    """20 ms to set the connection up, then 10 there and 10 back; kept alive it stands the next time."""
    for set_up_ms in (20, 0):
        way = stamps(client.get("/", headers={"x-sim-place": "away"}))
        assert way["connected"] - way["sent"] == set_up_ms * MS
        assert way["arrived"] - way["connected"] == 10 * MS
        assert 10 * MS <= way["ended"] - way["left"] < 100 * MS  # the end of its answer comes after its head
    beside = stamps(client.get("/", headers={"x-sim-place": "edge"}))
    assert beside["sent"] == beside["arrived"]


def test_the_applications_own_calls_leave_from_the_edge_whoever_asked_it(client: httpx.Client) -> None:
    answer = client.get("/model", headers={"x-sim-place": "away"})
    assert answer.headers["x-sim-place"] == "away"
    assert answer.headers["x-sim-app-place"] == "edge"
    its_call = answer.json()
    assert its_call["x-sim-place"] == "edge"
    way_ps = int(its_call["x-sim-arrived-ps"]) - int(its_call["x-sim-sent-ps"])
    assert 0 < way_ps < MS  # the fabric's, with its connection set up; from `away` it would be 30


def test_one_trace_has_the_users_way_the_application_and_its_calls(
    client: httpx.Client, served: Served
) -> None:
    """The application tells nobody which request it calls for: it answers no other one at the time."""
    [url] = served.urls
    body = {"log": True, "secret": "sk-one"}
    answer = client.post("/model", json=body, headers={"x-sim-place": "away", "x-request-id": "joined"})
    assert answer.status_code == HTTPStatus.OK
    listed = httpx.get(f"{url}/v1/traces?request_id=joined", headers=client.headers).json()["data"]
    [trace] = [httpx.get(f"{url}/v1/traces/{row['id']}", headers=client.headers).json() for row in listed]
    spans = [(span["name"], span["attributes"].get("call")) for span in trace["spans"]]
    stood = [span for span in spans if span[0] != "set_up"]  # both connections, or none of them
    its_call = [(name, 1) for name in ("network", "admission", "queue", "prefill", "decode", "return")]
    assert stood == [("network", None), ("app", None), *its_call, ("return", None)]
    assert trace["endpoint"] == "/hosted/my-chat/model"
    assert trace["completion_tokens"] == 2
    assert "sk-one" not in json.dumps(trace)
    assert trace["request"]["text"].startswith('{"log":true')
    both = httpx.get(f"{url}/v1/traces", headers=client.headers).json()["data"]
    assert {row["endpoint"] for row in both} == {"/hosted/my-chat/model", "/v1/chat/completions"}


def test_a_stream_comes_as_it_is_made(client: httpx.Client) -> None:
    with client.stream("GET", "/stream", headers={"x-sim-place": "away"}) as answer:
        pieces = list(answer.iter_text())
    assert [piece.split()[1] for piece in pieces] == ["0", "1", "2"]


def test_a_websocket_goes_both_ways(client: httpx.Client) -> None:
    url = str(client.base_url).replace("http:", "ws:") + "ws"
    with WebSocketClient(url, "sk-one") as socket:
        assert socket.status == HTTPStatus.SWITCHING_PROTOCOLS
        socket.send({"n": 1})
        assert socket.frame() == {"n": 1}
        socket.send("bye")
        assert socket.frame() is None
        assert socket.closed == 3001
    with WebSocketClient(url, "sk-two") as refused:
        assert refused.status == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize(
    ("path", "key", "status", "code"),
    [
        ("/hosted/my-chat/", None, 401, None),
        ("/hosted/my-chat/", "sk-two", 404, "app_not_found"),
        ("/hosted/another/", "sk-one", 404, "app_not_found"),
    ],
)
def test_only_keys_of_its_project_reach_an_application(
    served: Served, path: str, key: str | None, status: int, code: str | None
) -> None:
    [url] = served.urls
    answer = httpx.get(url + path, headers={} if key is None else {"authorization": f"Bearer {key}"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_what_a_project_uploads_lies_in_its_applications_folder(served: Served, client: httpx.Client) -> None:
    [url] = served.urls

    def upload(name: str, content: bytes, purpose: str = "user_data", key: str = "sk-one") -> str:
        form = {"file": (name, content)}
        headers = {"authorization": f"Bearer {key}"}
        made = httpx.post(f"{url}/v1/files", headers=headers, data={"purpose": purpose}, files=form)
        return str(made.json()["id"])

    def look(name: str) -> str:
        return client.post("/open", content=f"files/{name}").text

    first = upload("words.txt", b"one")
    upload("lines.jsonl", b"{}", "batch")
    upload("secret.txt", b"of others", key="sk-two")
    assert look("words.txt") == "opened"
    assert {look(name) for name in ("lines.jsonl", "secret.txt")} == {"FileNotFoundError"}
    httpx.delete(f"{url}/v1/files/{first}", headers=client.headers)
    assert look("words.txt") == "FileNotFoundError"


def test_whoever_runs_the_server_sees_how_its_applications_do(served: Served, client: httpx.Client) -> None:
    client.get("/")
    [url] = served.urls
    token = re.search(r"#token=(\S+)", "\n".join(served.lines))
    assert token is not None
    with httpx.Client(base_url=url, headers={"origin": url}) as operator:
        operator.post("/dashboard/sign-in", data={"token": token[1]})
        page = operator.get("/dashboard/apps").text
    assert '<th scope="row">my-chat<' in page
    assert 'class="badge good">running<' in page
    assert "of 256\N{NO-BREAK SPACE}MiB" in page
    assert "it begins with None" in page, "its log"


def test_what_goes_away_before_it_has_answered_is_told_and_comes_again(client: httpx.Client) -> None:
    lost = client.get("/crash")
    assert (lost.status_code, lost.json()["error"]["code"]) == (502, "app_lost")
    told = set()
    while (answer := client.get("/")).status_code in {502, 503}:  # 502 as long as its end is not known
        told.add((answer.status_code, answer.json()["error"]["message"]))
    assert answer.text == "hello"
    assert (503, "The application `my-chat` is not running (crashed: ended with status 3).") in told


def test_an_answer_that_breaks_off_does_not_look_like_a_whole_one(client: httpx.Client) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/break")


def deploy(url: str, source: str, key: dict[str, str] = KEY_TWO, **config: Any) -> str:
    """Answers the deployment's id."""
    packed = BytesIO()
    with ZipFile(packed, "w") as archive:
        archive.writestr("project/main.py", source)
        archive.writestr("dependencies/greeting.py", "WORDS = 'from a dependency'")
    stated = {
        "artifact_metadata": {"python_version": "3.11"},
        "entrypoint": "main:app",
        **dict.fromkeys(("cpu_count", "gpu_count", "memory_size_mb", "env_vars", "env_secrets")),
    }
    made = httpx.post(
        f"{url}/v1/artifacts",
        headers=key,
        data={"config": json.dumps(stated | config)},
        files={"artifact.zip": ("upload", packed.getvalue(), "application/octet-stream")},
    )
    job = httpx.post(f"{url}/v1/jobs", headers=key, json={"artifact_id": made.json()["artifact_id"]})
    return str(job.json()["deployment_id"])


def until(url: str, deployment: str, *statuses: str, key: dict[str, str] = KEY_TWO) -> dict[str, Any]:
    deadline_s = time.monotonic() + 20
    while time.monotonic() < deadline_s:
        jobs = httpx.get(f"{url}/v1/jobs", headers=key).json()["jobs"]
        found: dict[str, Any] = next(job for job in jobs if job["id"] == deployment)
        if found["status"] in statuses:
            return found
        time.sleep(0.02)
    raise AssertionError(found)


def test_what_is_deployed_runs_isolated_and_the_next_one_in_its_place(served: Served, tmp_path: Path) -> None:
    [url] = served.urls
    first = deploy(url, "import greeting\n" + SOURCE, env_vars={"GREETING": "hello"})
    assert until(url, first, "running", "dead")["status"] == "running", served.lines
    with httpx.Client(base_url=f"{url}/hosted/other", headers=KEY_TWO) as client:
        environ = client.get("/environ").json()
        assert (environ["GREETING"], environ["_8080_ORGANIZATION_SLUG"]) == ("hello", "local")
        (tmp_path / "secret").write_text("of the host")
        for path in (tmp_path / "secret", "/etc/shadow", Path(__file__)):
            assert client.post("/open", content=str(path)).text == "FileNotFoundError", path
        assert client.post("/open?write", content="main.py").text in {"OSError", "PermissionError"}
        assert re.fullmatch(r"\[b'e80sim-deployed-\w+'\]", client.post("/list", content="/tmp").text)
        folder = Path(environ["cwd"]).parent
        assert (folder.name, stat.S_IMODE(folder.stat().st_mode)) == (first, 0o700)
        assert client.post("/open?write", content="/tmp/mine").text == "opened"
        answer = client.get("/model")
        assert answer.json()["x-sim-place"] == "edge"
    assert httpx.get(f"{url}/hosted/other/", headers={"authorization": "Bearer sk-one"}).status_code == 404
    second = deploy(url, "raise RuntimeError('no')")
    dead = until(url, second, "dead")
    assert dead["reason"] == "Crashed: ended with status 1 while starting: RuntimeError: no."
    assert httpx.get(f"{url}/hosted/other/", headers=KEY_TWO).text == "hello", "the first goes on"
    nowhere = until(url, deploy(url, SOURCE, entrypoint="nowhere:app"), "dead")
    assert nowhere["reason"].endswith('Error loading ASGI app. Could not import module "nowhere".')
    third = deploy(url, SOURCE)
    until(url, third, "running")
    assert until(url, first, "dead")["reason"] == f"Replaced by {third}."


def test_what_is_deployed_is_not_let_in_as_a_program_of_this_machine(served: Served) -> None:
    """By a login it would have the secrets of every project."""
    [url] = served.urls
    until(url, deploy(url, SOURCE), "running")
    login = "/accounts/login/oauth?redirect_uri=http://localhost:9999"
    its_answer = httpx.post(f"{url}/hosted/other/ask", headers=KEY_TWO, content=login)
    assert its_answer.text == "200", "a page that wants the dashboard's token"
    assert httpx.get(url + login).status_code == HTTPStatus.FOUND


def test_a_project_with_the_same_slug_gets_neither_the_address_nor_the_application(served: Served) -> None:
    """`other` and `other_`: the key of an application acted for whoever deployed last at its slug."""
    [url] = served.urls
    until(url, deploy(url, SOURCE), "running")
    refused = until(url, deploy(url, SOURCE, ALIKE), "dead", "running", key=ALIKE)
    assert refused["reason"] == (
        "It cannot be started: another project, whose name differs in - and _ alone, is at 'other'."
    )
    assert httpx.get(f"{url}/hosted/other/", headers=ALIKE).status_code == HTTPStatus.NOT_FOUND
    assert httpx.get(f"{url}/hosted/other/", headers=KEY_TWO).text == "hello"


def test_an_application_is_not_told_the_token_of_a_login(served: Served) -> None:
    [url] = served.urls
    asked = httpx.get(f"{url}/accounts/login/oauth?redirect_uri=http://localhost:9999")
    code = dict(asked.next_request.url.params) if asked.next_request else {}
    made = httpx.post(f"{url}/accounts/login/oauth/token", data={**code, "grant_type": "authorization_code"})
    login = {"authorization": f"Bearer {made.json()['access_token']}", "x-8080-project-slug": "my-chat"}
    _, _, headers, _ = eval(httpx.get(f"{url}/hosted/my-chat/echo", headers=login).text)
    told = dict(headers)
    assert told[b"x-8080-project-slug"] == b"my-chat"
    assert b"authorization" not in told


def test_what_is_deployed_steers_no_program_outside(served: Served, tmp_path: Path) -> None:
    """The loader of every program writes such a file: outside there is this folder, inside there is none."""
    [url] = served.urls
    marks = {"LD_DEBUG": "statistics", "LD_DEBUG_OUTPUT": f"{tmp_path}/loaded", "PATH": "/nowhere"}
    deployed = deploy(url, SOURCE, env_vars=marks)
    assert until(url, deployed, "running", "dead")["status"] == "running", served.lines
    environ = httpx.get(f"{url}/hosted/other/environ", headers=KEY_TWO).json()
    assert marks.items() <= environ.items()
    assert list(tmp_path.iterdir()) == []


def test_a_broken_manifest_keeps_the_server_from_starting(tmp_path: Path) -> None:
    (tmp_path / "8080.yaml").write_text(MANIFEST + "cpu_mhz: none\n")
    done = e80sim("serve", ["--app", str(tmp_path), "--port", "0"])
    assert done.exit_code == 2
    assert done.stderr == f"e80sim: {tmp_path}/8080.yaml:5: `cpu_mhz` is 'none': it must be a number\n"
