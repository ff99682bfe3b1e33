"""`/v1/sandboxes` and a sandbox's own address, in virtual time: the clock stands still while programs run."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api_shim.sandboxes.choice import SandboxChoice
from api_shim.settings import ServerSettings
from api_shim.store.store import Store
from api_shim.testing import VirtualPlatform
from api_shim.testing.asgi_transport import make_transport
from tests.support.live import MS, Reply, Wire, make_wire, scenario

CREATE_MS = 125.0
JSON = {"content-type": "application/json"}
PAGE_KEYS = {"data", "total", "page", "total_pages", "limit", "offset", "has_more", "has_previous"}
PAGE_KEYS |= {"next_page", "previous_page"}


@pytest.fixture(scope="module")
def wire(isolation: None) -> Iterator[Wire]:
    assert isolation is None
    made = make_wire(
        scenario(sandboxes={"create_ms": CREATE_MS, "exec_overhead_ms": 10.0, "most_per_project": 3})
    )
    yield made
    made.platform.close()


def ask(wire: Wire, path: str, body: Any = None, **options: Any) -> Reply:
    return wire.ask(path, body, headers={} if body is None else JSON, **options)


class Agent:
    """What `SandboxClient` of 8080's SDK asks."""

    def __init__(self, wire: Wire, created: Any) -> None:
        self.wire = wire
        self.path = created["address"].removeprefix("http://127.0.0.1")
        self.token = created["auth_token"]

    def ask(self, path: str, body: Any = None, **options: Any) -> Reply:
        return ask(self.wire, f"{self.path}{path}", body, **({"key": self.token} | options))

    def python(self, code: str, **options: Any) -> Reply:
        return self.ask("/python/run", {"code": code, **options})


@pytest.fixture
def agent(wire: Wire) -> Iterator[Agent]:
    created = ask(wire, "/v1/sandboxes", {})
    assert created.status == 200, created.body
    yield Agent(wire, created.json)
    ask(wire, f"/v1/sandboxes/{created.json['id']}", method="DELETE")


@pytest.mark.parametrize(
    ("body", "memory_mb", "milli_cpus"),
    [
        (b"", 512, 1000),
        ({}, 512, 1000),
        ({"image": None, "resources": None}, 512, 1000),
        ({"image": None, "resources": {"memory_mb": 256, "milli_cpus": 500}}, 256, 500),
        ({"memory_mb": 128, "cpu_mhz": 1500}, 128, 500),
        ({"memory_mb": None, "cpu_mhz": None}, 512, 1000),
    ],
)
def test_every_clients_body_makes_a_sandbox(wire: Wire, body: Any, memory_mb: int, milli_cpus: int) -> None:
    made = ask(wire, "/v1/sandboxes", body)
    assert made.status == 200, made.body
    sandbox = made.json
    assert sandbox["resources"] == {"memory_mb": memory_mb, "milli_cpus": milli_cpus}
    assert (sandbox["status"], sandbox["terminated"], sandbox["ports"]) == ("active", None, [])
    assert sandbox["address"] == f"http://127.0.0.1/sandboxes/{sandbox['id']}"
    stopped = ask(wire, f"/v1/sandboxes/{sandbox['id']}", method="DELETE")
    assert (stopped.json["status"], stopped.json["ended_by"]) == ("finished", "stopped")


def test_to_make_one_takes_as_long_as_the_scenario_says(wire: Wire) -> None:
    before_ps = wire.platform.world.env.now
    made = ask(wire, "/v1/sandboxes", {"labels": {"for": "me"}})
    assert wire.platform.world.env.now - before_ps == 125 * MS
    assert made.headers["x-sim-took-ms"] == "125.000"
    assert made.headers["x-sim-lateness-ms"] == "0.000"
    assert made.json["simulated_ms"] == CREATE_MS
    assert made.json["wall_ms"] > 1
    assert made.json["labels"] == {"for": "me"}
    ask(wire, f"/v1/sandboxes/{made.json['id']}/stop", {})


def test_a_program_takes_what_it_really_takes_and_both_times_are_told(agent: Agent) -> None:
    before_ps = agent.wire.platform.world.env.now
    ran = agent.python("import time; time.sleep(0.2); print(6 * 7)")
    took_ms = (agent.wire.platform.world.env.now - before_ps) / MS
    answer = ran.json
    assert (answer["exit_code"], answer["message"], answer["error"]) == (0, "42\n", "")
    assert answer["wall_ms"] >= 200
    assert answer["simulated_ms"] == pytest.approx(answer["wall_ms"] + 10, abs=0.001)
    assert took_ms == pytest.approx(answer["simulated_ms"], abs=0.001)
    assert ran.headers["x-sim-took-ms"] == f"{answer['simulated_ms']:.3f}"
    assert ran.headers["x-wall-took-ms"] == f"{answer['wall_ms']:.3f}"


def test_what_others_wait_for_meanwhile_overlaps_with_the_program(agent: Agent) -> None:
    """A simulated wait of 300 ms and a program of 400 ms begin together: both end with the longer."""

    async def story() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        run = agent.wire.send(
            f"{agent.path}/python/run",
            {"code": "import time; time.sleep(0.4)"},
            key=agent.token,
            headers=JSON,
        )
        _, ran = await asyncio.gather(asyncio.sleep(0.3), run)
        return loop.time() - began_s, ran.json["simulated_ms"] / 1e3

    took_s, program_s = agent.wire.platform.run(story())
    assert took_s == pytest.approx(program_s, abs=1e-6)


def test_a_long_program_says_something_before_8080s_client_gives_up(agent: Agent) -> None:
    """Its time-out of 5 s is kept in virtual time, too."""

    async def story() -> httpx.Response:
        transport = make_transport(httpx, agent.wire.platform.app)
        async with httpx.AsyncClient(transport=transport, timeout=5.0) as client:
            return await client.post(
                f"http://127.0.0.1{agent.path}/python/run",
                json={"code": "import time; time.sleep(5.5); print('late')"},
                headers={"authorization": f"Bearer {agent.token}"},
            )

    answer = agent.wire.platform.run(story())
    assert answer.content.startswith(b" {")
    assert answer.json()["message"] == "late\n"


def test_failures_of_programs_are_answers(agent: Agent) -> None:
    failed = agent.python("1/0")
    assert (failed.status, failed.json["exit_code"]) == (200, 1)
    assert "ZeroDivisionError" in failed.json["error"]
    endless = agent.python("while True: pass", timeout_s=0.2)
    assert endless.json["exit_code"] == -9
    assert endless.json["error"].endswith("it was ended: its time was over")
    assert agent.python("print('x' * 3_000_000)").json["error"].endswith("it was ended: it wrote too much")


def test_a_program_that_costs_the_sandbox_its_life_is_told_so(wire: Wire) -> None:
    created = ask(wire, "/v1/sandboxes", {"memory_mb": 64}).json
    agent = Agent(wire, created)
    hog = "import os\nfor _ in range(4): os.fork()\nkept = []\nwhile True: kept.append(os.urandom(1 << 20))"
    ended = agent.python(hog)
    assert (ended.status, ended.error["code"]) == (409, "sandbox_ended")
    assert "out of memory" in ended.error["message"]
    seen = ask(wire, f"/v1/sandboxes/{created['id']}").json
    assert seen["status"] == "finished"
    assert seen["ended_by"].startswith("out of memory")
    assert agent.ask("/.8080/health").status == 404


def test_the_sandbox_asks_for_its_own_token(agent: Agent) -> None:
    assert agent.ask("/.8080/health").json == {"status": "ok"}
    for key in (None, "sk-me", "wrong", agent.token[:-1]):
        refused = agent.ask("/python/run", {"code": "print(1)"}, key=key)
        assert (refused.status, refused.error["code"]) == (401, "invalid_sandbox_token")
    other = ask(agent.wire, "/v1/sandboxes", {}).json
    assert agent.ask("/.8080/health", key=other["auth_token"]).status == 401
    assert ask(agent.wire, f"/v1/sandboxes/{other['id']}/stop", {}).status == 200


def test_files_go_in_and_come_out(agent: Agent) -> None:
    assert agent.ask("/files/data/in.bin", bytes(range(256)), method="PUT").status == 204
    assert agent.python("print(len(open('data/in.bin', 'rb').read()))").json["message"] == "256\n"
    read = agent.ask("/files/data/in.bin")
    assert read.body == bytes(range(256))
    assert read.headers["x-content-type-options"] == "nosniff"
    assert agent.ask("/files/absent").error["message"] == "No such file or directory."
    assert agent.ask("/files//etc/passwd").status == 400
    assert agent.ask("/files/../../usr/pwned", b"x", method="PUT").status == 400


def test_packages_without_a_source_are_refused_and_none_are_fine(agent: Agent) -> None:
    for language in ("python", "js"):
        assert agent.ask(f"/{language}/deps", {"dependencies": []}).json["exit_code"] == 0
    assert "--wheelhouse" in agent.ask("/python/deps", {"dependencies": ["numpy"]}).error["message"]
    refused = agent.ask("/js/deps", {"dependencies": ["left-pad"]})
    assert (refused.status, refused.error["code"]) == (501, "no_javascript_packages")


def test_me_ends_the_sandbox(wire: Wire) -> None:
    created = ask(wire, "/v1/sandboxes", {}).json
    assert Agent(wire, created).ask("/me", method="DELETE").status == 200
    assert ask(wire, f"/v1/sandboxes/{created['id']}").json["status"] == "finished"


def test_another_project_sees_and_touches_nothing(agent: Agent) -> None:
    id_ = agent.path.rpartition("/")[2]
    for path, body in (
        (f"/v1/sandboxes/{id_}", None),
        (f"/v1/sandboxes/{id_}/stop", {}),
        (f"/v1/sandboxes/{id_}/expose", {"ports": [80]}),
        (f"/api/sandbox/o/s/{id_}/stop", {}),
    ):
        refused = ask(agent.wire, path, body, key="sk-other")
        assert (refused.status, refused.error["code"]) == (404, "sandbox_not_found")
    assert ask(agent.wire, f"/v1/sandboxes/{id_}", method="DELETE", key="sk-other").status == 404
    assert ask(agent.wire, "/v1/sandboxes", key="sk-other").json["sandboxes"] == []
    assert agent.ask("/.8080/health").status == 200


def test_lists_have_both_forms_and_history_is_no_id(agent: Agent) -> None:
    listed = ask(agent.wire, "/v1/sandboxes?limit=1").json
    assert listed["sandboxes"] == listed["data"]
    assert listed["sandboxes"][0]["id"] == agent.path.rpartition("/")[2]  # who runs comes first
    history = ask(agent.wire, "/v1/sandboxes/history").json
    assert history["total"] == listed["total"] == len(history["data"])
    for page in (listed, history):
        assert page.keys() >= PAGE_KEYS
    second = ask(agent.wire, "/v1/sandboxes?limit=1&page=2").json
    assert second["sandboxes"] != listed["sandboxes"]
    assert ask(agent.wire, "/v1/sandboxes?limit=0").status == 400


def test_open_ports_show_up_in_the_list(agent: Agent) -> None:
    id_ = agent.path.rpartition("/")[2]
    ports = {"ports": [8000, {"target_port": 5000, "as_port": 80}]}
    opened = ask(agent.wire, f"/v1/sandboxes/{id_}/expose", ports)
    expected = [{"target_port": 8000, "as_port": 8000}, {"target_port": 5000, "as_port": 80}]
    assert opened.json["ports"] == expected
    assert ask(agent.wire, "/v1/sandboxes").json["sandboxes"][0]["ports"] == expected
    for bad in ({"ports": [0]}, {"ports": [65536]}, {"ports": ["80"]}, {}, {"ports": [{"target_port": 1}]}):
        assert ask(agent.wire, f"/v1/sandboxes/{id_}/expose", bad).status == 400


SERVER = """
import http.server, json, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        mine = self.headers.get("x-mine")
        key = self.headers.get("authorization") or self.headers.get("cookie")
        said = json.dumps([self.path, body.decode(), mine, key])
        self.send_response(201)
        self.send_header("x-theirs", "yes")
        self.send_header("set-cookie", "dashboard=mine")
        self.send_header("clear-site-data", "*")
        self.end_headers()
        self.wfile.write(said.encode())
    do_GET = lambda self: (self.send_response(200), self.end_headers(), self.wfile.write(b"x" * 300_000))
    log_message = lambda *_: None
server = http.server.ThreadingHTTPServer(("127.0.0.1", 5000), Handler)
if os.fork() == 0:
    os.setsid()
    server.serve_forever()
"""


def test_a_server_inside_is_reached_through_an_open_port_and_only_through_that(agent: Agent) -> None:
    assert agent.python(SERVER).json["exit_code"] == 0
    path = "/ports/80/a%20b/c?q=1"
    assert agent.ask(path).error["code"] == "port_not_exposed"
    id_ = agent.path.rpartition("/")[2]
    ask(agent.wire, f"/v1/sandboxes/{id_}/expose", {"ports": [{"target_port": 5000, "as_port": 80}, 9]})
    said = agent.wire.ask(
        f"{agent.path}/ports/80/a b/c?q=1",
        b"hello",
        headers={"x-mine": "1", "cookie": "dashboard=x"},
        key=agent.token,
    )
    assert said.status == 201
    assert said.json == ["/a%20b/c?q=1", "hello", "1", None]  # the token and the cookie stay with us
    assert not {"set-cookie", "clear-site-data"} & said.headers.keys()
    assert said.headers["content-security-policy"] == "sandbox"
    assert said.headers["x-theirs"] == "yes"
    assert float(said.headers["x-wall-took-ms"]) > 0
    assert agent.ask("/ports/80/").body == b"x" * 300_000
    assert agent.ask("/ports/80/", key="sk-me").status == 401
    nobody = agent.ask("/ports/9/")
    assert nobody.status == 400
    assert "Connection refused" in nobody.error["message"]


def test_a_project_has_as_many_as_it_may(wire: Wire) -> None:
    made = [ask(wire, "/v1/sandboxes", {}, key="sk-many").json["id"] for _ in range(3)]
    refused = ask(wire, "/v1/sandboxes", {}, key="sk-many")
    assert (refused.status, refused.error["code"]) == (429, "sandbox_limit")
    for id_ in made:
        ask(wire, f"/v1/sandboxes/{id_}/stop", {}, key="sk-many")
    again = ask(wire, "/v1/sandboxes", {}, key="sk-many")
    assert again.status == 200
    ask(wire, f"/v1/sandboxes/{again.json['id']}/stop", {}, key="sk-many")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"resources": {"memory_mb": 8}}, "resources.memory_mb"),
        ({"resources": {"memory_mb": "512"}}, "resources.memory_mb"),
        ({"memory_mb": 10**9}, "memory_mb"),
        ({"image": {"environment_variables": {"A B": "x"}}}, "image.environment_variables.A B"),
        ({"image": {"environment_variables": {"A": "x\0--share-net"}}}, "image.environment_variables.A"),
        ({"image": {"entrypoint": ["sh\0"]}}, "image.entrypoint[0]"),
        ({"image": {"entrypoint": "sh"}}, "image.entrypoint"),
        ([], None),
        (b"{", None),
    ],
)
def test_a_body_that_is_wrong_is_refused_with_the_place(wire: Wire, body: Any, param: str | None) -> None:
    refused = ask(wire, "/v1/sandboxes", body)
    assert (refused.status, refused.error["param"]) == (400, param)


def test_more_than_the_scenario_gives_and_images_of_bubblewrap_are_refused(wire: Wire) -> None:
    assert "at most 4,096" in ask(wire, "/v1/sandboxes", {"memory_mb": 8192}).error["message"]
    refused = ask(wire, "/v1/sandboxes", {"image": {"docker_image_name": "debian:12"}})
    assert (refused.status, refused.error["code"]) == (400, "sandbox_refused")
    assert "--sandboxes docker" in refused.error["message"]


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # its process has ended
        return b""


def test_an_entrypoint_runs_in_its_environment(wire: Wire) -> None:
    image = {
        "entrypoint": ["sh", "-c", "echo $WHAT > said; sleep 60"],
        "environment_variables": {"WHAT": "hello", "TOKEN": "seen by nobody outside"},
    }
    created = ask(wire, "/v1/sandboxes", {"image": image}).json
    assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if b"seen by nobody" in read(path)]
    agent = Agent(wire, created)
    wait = (
        "import os, time\nwhile not os.path.exists('said') or not os.path.getsize('said'): time.sleep(0.01)\n"
    )
    assert (
        agent.python(wait + "print(open('said').read(), os.environ['WHAT'])").json["message"]
        == "hello\n hello\n"
    )
    ask(wire, f"/v1/sandboxes/{created['id']}/stop", {})


def test_where_there_are_none_the_answer_is_501_with_the_fix() -> None:
    wire = make_wire(settings=ServerSettings(sandboxes=SandboxChoice("off")))
    refused = ask(wire, "/v1/sandboxes", {})
    assert (refused.status, refused.error["code"]) == (501, "sandboxes_unavailable")
    assert "--sandboxes bubblewrap" in refused.error["message"]
    wire.platform.close()
    wire = make_wire(settings=ServerSettings(sandboxes=SandboxChoice(python="/no/such/python")))
    refused = ask(wire, "/v1/sandboxes", {})
    assert refused.status == 501
    assert "/no/such/python" in refused.error["message"]
    assert ask(wire, "/v1/sandboxes").json["sandboxes"] == []
    wire.platform.close()


@pytest.mark.usefixtures("isolation")
def test_sandboxes_of_a_server_that_is_gone_have_ended(tmp_path: Path) -> None:
    def platform() -> VirtualPlatform:
        made = VirtualPlatform(scenario())
        made.shim.store = Store(tmp_path)
        made.shim.sandboxes._stored = made.shim.store.sandboxes
        return made

    first = Wire(platform())
    kept = ask(first, "/v1/sandboxes", {}).json
    first.platform.shim.sandboxes._made_keeper = None  # killed: it told nobody
    first.platform.close()
    second = Wire(platform())
    found = ask(second, f"/v1/sandboxes/{kept['id']}").json
    assert (found["status"], found["ended_by"]) == ("finished", "its server ended")
    second.platform.close()
