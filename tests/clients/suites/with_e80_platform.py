"""8080's own command line and SDK on the platform's side: login, projects, deployments, secrets, agents.

`uv` and `docker` are stand-ins that do as little as the client can do with. What needs neither a terminal nor
signals runs within this process, since starting the command line takes seconds.
"""

import asyncio
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from click.testing import CliRunner
from e80.cli import cli

API = os.environ["OPENAI_BASE_URL"].removesuffix("/v1")
KEY = os.environ["OPENAI_API_KEY"]
COMMAND = str(Path(sys.executable).with_name("8080"))
VERSION = version("e80")
NEWER = VERSION == "0.1.0a14"
MODEL = "8080/taalas/llama3.1-8b-instruct"
HELLO = [{"role": "user", "content": "hello"}]
PATIENCE_S = 60.0
ONLY_NEWER = pytest.mark.skipif(not NEWER, reason="of 0.1.0a14")
ONLY_13 = pytest.mark.skipif(VERSION != "0.1.0a13", reason="of 0.1.0a13")
ONLY_11 = pytest.mark.skipif(VERSION != "0.1.0a11", reason="of 0.1.0a11")
BROKEN_IN_11 = pytest.mark.skipif(VERSION == "0.1.0a11", reason="a NameError in 0.1.0a11")
UV = f"""#!{sys.executable}
import os, sys
match sys.argv[1:]:
    case ["--version", *_]:
        print("uv 0.9.9")
    case ["run", "python", *rest]:
        os.execv(sys.executable, [sys.executable, *rest])
    case ["run", "uvicorn", *rest]:  # sh would lose `8080_PROJECT_SLUG`, whose name is none to it
        os.execv(sys.executable, [sys.executable, "-m", "uvicorn", *rest])
    case ["pip", "compile", *rest]:
        open(rest[rest.index("-o") + 1], "w").close()
"""
DOCKER = """#!/bin/sh
for given in "$@"; do
    case "$given" in *:/builder/output*) echo 'value = 42' > "${given%%:*}/dependency.py" ;; esac
done
"""


class Person:
    """Somebody with a home, and a folder that is a project."""

    def __init__(self, folder: Path, project: str = "project") -> None:
        """`project` is its name on the server, too."""
        self.folder = folder / project
        programs = folder / "bin"
        for made in (folder / "home", self.folder, programs):
            made.mkdir()
        for name, script in (("uv", UV), ("docker", DOCKER)):
            (programs / name).write_text(script)
            (programs / name).chmod(0o755)
        self.environment = {
            name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}
        } | {
            "HOME": str(folder / "home"),
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "BROWSER": "curl -sL %s",
            "PYTHONWARNINGS": "ignore",
            "_8080_API_URL": API,
            "_8080_PLATFORM_URL": API,
            "E80_API_HOST": API,  # up to 0.1.0a11
            "E80_PLATFORM_HOST": API,
        }

    def starts(self, *arguments: str) -> str:
        """In a process of its own."""
        done = subprocess.run(
            [COMMAND, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env=self.environment,
            timeout=PATIENCE_S,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def runs(self, *arguments: str) -> str:
        with self.here():
            done = CliRunner().invoke(cli, list(arguments))
        assert done.exit_code == 0, (arguments, done.output, done.exception)
        return str(done.output)

    def reads(self, *arguments: str) -> Any:
        """What the command prints, as JSON."""
        return json.loads(self.runs(*arguments))

    @contextmanager
    def here(self) -> Iterator[None]:
        before, folder = dict(os.environ), Path.cwd()
        os.environ.update(self.environment)
        os.chdir(self.folder)
        try:
            yield
        finally:
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(before)

    @property
    def token(self) -> str:
        """As the client keeps it."""
        kept = yaml.safe_load((Path(self.environment["HOME"]) / ".8080" / "user.yaml").read_text())
        return str(kept["auth_info"][API]["auth_token"])

    @property
    def slug(self) -> str:
        return str(yaml.safe_load((self.folder / "8080.yaml").read_text())["project_slug"])


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Person:
    """Logged in, with a project that was deployed once."""
    person = Person(tmp_path_factory.mktemp("person"), f"project-{VERSION[-3:]}")  # suites share a server
    assert "Login successful" in person.starts("login")
    person.starts("init", "--config-format", "yaml", "--cpu-mhz", "500")
    assert "/edge/deployment/dep_" in person.starts("deploy").replace("\n", "")
    return person


@BROKEN_IN_11
def test_who_has_logged_in_and_deployed_has_a_project(person: Person) -> None:
    told = person.runs("info")
    assert "Logged in" in told
    assert person.token.startswith("e80u_")
    assert person.slug == person.folder.name
    person.runs("apikey", "set", "sk-mine")
    assert "sk-m" in person.runs("apikey", "show")
    organisations = httpx.get(f"{API}/api/org", headers={"authorization": f"Bearer {person.token}"})
    assert organisations.json()["memberships"][0]["organization_slug"] == "local"


def test_what_is_deployed_is_what_was_archived(person: Person) -> None:
    headers = {"authorization": f"Bearer {person.token}", "x-8080-project-slug": person.slug}
    (job, *_) = httpx.get(f"{API}/v1/jobs", headers=headers).json()["jobs"]
    assert job["status"] in {
        "pending",
        "in_progress",
        "running",
        "dead",
    }  # the stand-in builds nothing that runs
    assert job["reason"]
    if NEWER:
        assert job["id"] in person.runs("v1", "jobs", "list")
        assert job["artifact_id"] in person.runs("v1", "job-histories", "list", "--limit", "5")
        again = person.reads("v1", "jobs", "create", "--artifact-id", job["artifact_id"])
        assert again["deployment_id"] != job["id"]


def test_another_project_of_the_same_person_has_nothing_of_it(person: Person) -> None:
    headers = {"authorization": f"Bearer {person.token}", "x-8080-project-slug": "another"}
    assert httpx.get(f"{API}/v1/jobs", headers=headers).json()["jobs"] == []
    stranger = headers | {"authorization": "Bearer e80u_stranger"}
    refused = httpx.get(f"{API}/v1/jobs", headers=stranger)
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_token")


MAINS = {
    "0.1.0a14": ("api.completion.create", "api.v1.chat.completions.create"),  # its SDK has no `completion`
    "0.1.0a11": ('model="gpt-oss-20b"', f'model="{MODEL}"'),
}
"""What of the template's `main.py` has to be something else."""


def test_dev_serves_the_projects_app(person: Person) -> None:
    main = person.folder / "main.py"
    main.write_text(main.read_text().replace(*MAINS.get(VERSION, ("", ""))))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [COMMAND, "dev", "--bind", "127.0.0.1", "--port", str(port), "--no-reload"]
    with (person.folder / "dev.log").open("wb") as log:
        serving = subprocess.Popen(
            command, cwd=person.folder, env=person.environment, start_new_session=True, stdout=log, stderr=log
        )
    try:
        address, until_s = f"http://127.0.0.1:{port}", time.monotonic() + PATIENCE_S
        while not answers(f"{address}/.8080/health"):
            assert time.monotonic() < until_s
            assert serving.poll() is None, (person.folder / "dev.log").read_text()
            time.sleep(0.1)
        if VERSION == "0.1.0a11":
            answer = httpx.get(f"{address}/example", timeout=30)
        else:
            body = {"model": MODEL, "messages": HELLO}
            answer = httpx.post(f"{address}/v1/chat/completions", json=body, timeout=30)
        assert answer.json()["choices"][0]["message"]["content"]
    finally:
        with suppress(ProcessLookupError):
            os.killpg(serving.pid, signal.SIGTERM)
        serving.wait(PATIENCE_S)


def answers(url: str) -> bool:
    try:
        return bool(httpx.get(url).json() == {"status": "ok"})
    except httpx.ConnectError:
        return False


@ONLY_NEWER
def test_models_chats_and_responses(person: Person) -> None:
    models = person.reads("v1", "models", "list")["data"]
    assert {"id": MODEL, "provider": "taalas"}.items() <= models[0].items()
    chat = person.reads(
        "v1", "chat", "completions", "create", "--model", MODEL, "--messages", json.dumps(HELLO)
    )
    assert chat["usage"]["decode_tokens"] == chat["usage"]["completion_tokens"] > 0
    response = person.reads("v1", "responses", "create", "--model", MODEL, "--input", "hello")
    assert (response["status"], response["output"][0]["type"]) == ("completed", "message")


@ONLY_NEWER
def test_secrets_in_their_three_forms(person: Person) -> None:
    def change(*command: str, name: str, value: str, kind: str, local: str = "false") -> None:
        options = ("--name", name, "--is-local", local, "--value", value, "--type", kind)
        assert person.runs("v1", "secrets", *command, *options).strip() == ""

    change("create", name="plain", value="hunter2", kind="string")
    change("create", name="object", value='{"a": [1, 2]}', kind="json", local="true")
    change("create", name="other", value=json.dumps({"url": API, "api_key": KEY}), kind="openai")
    assert person.reads("v1", "secrets", "retrieve", "plain")["value"] == "hunter2"
    assert person.reads("v1", "secrets", "retrieve", "object")["value"] == {"a": [1, 2]}
    local = person.reads("v1", "secrets", "list", "--local", "true")["data"]
    assert [secret["name"] for secret in local] == ["object"]
    change("update", "plain", name="renamed", value="hunter3", kind="string")
    assert [one["name"] for one in person.reads("v1", "secrets", "list")["data"]] == [
        "renamed",
        "object",
        "other",
    ]
    person.runs("v1", "secrets", "delete", "renamed")
    person.runs("v1", "secrets", "delete", "object")
    assert person.reads("v1", "secrets", "list", "--limit", "1")["total"] == 1
    with sdk(person) as eighty80:
        chat = eighty80.api(secret_name="other").v1.chat.completions.create(model=MODEL, messages=HELLO)
        assert chat.choices[0].message.content


def upload_batch(person: Person, **body: Any) -> str:
    """The id of a file with one line."""
    line = {
        "custom_id": "a",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": MODEL, "messages": HELLO, **body},
    }
    with sdk(person) as eighty80:
        content = io.BytesIO(json.dumps(line).encode())
        return str(eighty80.api().v1.files.create(purpose="batch", file=content).id)


def create_batch(person: Person, file_id: str) -> Any:
    options = ("--endpoint", "/v1/chat/completions", "--completion-window", "24h")
    return person.reads("v1", "batches", "create", "--input-file-id", file_id, *options)


@ONLY_NEWER
def test_files_and_batches(person: Person) -> None:
    file_id = upload_batch(person)
    (listed,) = person.reads("v1", "files", "list", "--limit", "1")["data"]
    assert (listed["id"], listed["filename"], listed["purpose"]) == (file_id, "upload", "batch")
    assert person.runs("v1", "files", "retrieve", file_id).strip() == ""  # it drops the answer
    person.runs("v1", "files", "update", file_id)
    batch, until_s = create_batch(person, file_id), time.monotonic() + PATIENCE_S
    while batch["status"] != "completed":
        assert time.monotonic() < until_s
        batch = person.reads("v1", "batches", "retrieve", batch["id"])
    assert batch["id"] in person.runs("v1", "batches", "list", "--n-requests", "1")
    with sdk(person) as eighty80, eighty80.api().v1.files.content(batch["results_file_id"]) as download:
        assert json.loads(download.read())["custom_id"] == "a"
    person.runs("v1", "files", "delete", file_id)
    assert file_id not in person.runs("v1", "files", "list")


@ONLY_NEWER
def test_a_batch_that_is_deleted_is_cancelled(person: Person) -> None:
    id_ = create_batch(person, upload_batch(person, max_tokens=20_000, min_tokens=20_000))["id"]
    person.runs("v1", "batches", "delete", id_)
    assert person.reads("v1", "batches", "retrieve", id_)["status"] in {"cancelling", "cancelled"}


@ONLY_NEWER
def test_sandboxes(person: Person) -> None:
    id_ = person.reads("v1", "sandboxes", "create")["id"]
    person.runs("v1", "sandboxes", "expose", id_, "--ports", '[8000, {"target_port": 1, "as_port": 2}]')
    (listed,) = person.reads("v1", "sandboxes", "list")["sandboxes"]
    assert (listed["id"], listed["status"], len(listed["ports"])) == (id_, "active", 2)
    person.runs("v1", "sandboxes", "delete", id_)
    assert person.reads("v1", "sandboxes", "list")["sandboxes"][0]["status"] == "finished"
    assert person.reads("v1", "sandboxes", "history", "list")["data"][0]["id"] == id_


@ONLY_NEWER
def test_an_upload_in_parts(person: Person) -> None:
    config = {"artifact_metadata": {"python_version": "3.13"}, "entrypoint": "main:app"}
    begun = person.reads("v1", "multipart", "create", "--config", json.dumps(config))
    archive = (person.folder / ".8080_cache" / "artifact.zip").read_bytes()
    with sdk(person) as eighty80:
        for number, part in enumerate((archive[:100], archive[100:]), 1):
            eighty80.api().v1.multipart.part(
                begun["artifact_id"], part_num=number, artifact_part=io.BytesIO(part)
            )
    assert person.runs("v1", "multipart", "finish", begun["artifact_id"]).strip() == ""
    assert person.reads("v1", "jobs", "create", "--artifact-id", begun["artifact_id"])["deployment_id"]


@ONLY_13
def test_models_and_chats_of_the_older_command_line(person: Person) -> None:
    assert MODEL in person.runs("models")
    assert "tps" in person.runs("chat", "--model", MODEL, "hello")
    body = {"messages": [], "model": MODEL, "stream": True}  # as `chat --stream` of a13 sends it
    headers = {"authorization": f"Bearer {person.token}", "x-8080-project-slug": person.slug}
    assert httpx.post(f"{API}/v1/chat/completions", json=body, headers=headers).status_code == 400
    person.runs("apikey", "set", KEY)
    answer = person.runs(
        "call", "v1/chat/completions", json.dumps({"model": MODEL, "messages": HELLO}), "--host", API
    )
    assert "chat.completion" in answer


@ONLY_11
def test_the_oldest_command_line_asks_by_older_routes(person: Person) -> None:
    """Before each chat it reads the secrets for development; its sandboxes are those of `/v1`."""
    headers = {"authorization": f"Bearer {person.token}", "x-8080-project-slug": person.slug}
    secret = {"name": "db", "is_local": True, "type": "string", "value": "v"}
    assert httpx.post(f"{API}/v1/secrets", json=secret, headers=headers).status_code == 200
    assert MODEL.rpartition("/")[2] in person.runs("models")
    assert "tps" in person.runs("chat", "--model", MODEL, "hello")
    assert "Sandbox created: sbx_" in person.runs("sandbox", "create")
    (sandbox,) = httpx.get(f"{API}/v1/sandboxes", headers=headers).json()["sandboxes"]
    assert sandbox["id"] in person.runs("sandbox", "list")
    stop = f"{API}/api/sandbox/local/{person.slug}/{sandbox['id']}/stop"  # its own command is a NameError
    assert httpx.post(stop, headers=headers).json()["status"] == "finished"


@contextmanager
def sdk(person: Person) -> Iterator[Any]:
    """As within `8080 dev`: the token of the login, and the project."""
    from e80_sdk import Eighty80

    with person.here():
        os.environ.update({"_8080_API_KEY": person.token, "_8080_PROJECT_SLUG": person.slug})
        yield Eighty80()


@ONLY_NEWER
def test_the_sdk_streams_waits_without_blocking_and_has_an_identity_of_its_own(person: Person) -> None:
    from e80_sdk import Eighty80

    with sdk(person) as eighty80:
        completions = eighty80.api().v1.chat.completions
        chunks = list(completions.create(model=MODEL, messages=HELLO, stream=True))
        assert chunks[-1].usage.completion_tokens > 0

        async def ask() -> Any:
            api = eighty80.api_async()
            together = [
                api.v1.chat.completions.create(model=MODEL, messages=HELLO),
                api.v1.models.list(),
                api.v1.secrets.list(),
                api.v1.responses.create(model=MODEL, input="hello"),
            ]
            return await asyncio.gather(*together)

        token = person.folder / "token"
        token.write_text(f"{KEY}\n")
        del os.environ["_8080_API_KEY"]
        os.environ["_8080_SERVICE_ACCOUNT_TOKEN_FILE"] = str(token)
        assert Eighty80().api().v1.models.list().data
        chat, models, _secrets, response = asyncio.run(ask())
        assert chat.choices[0].message.content
        assert models.data[0].provider == "taalas"
        assert response.output[0].type == "message"


@ONLY_NEWER
def test_agents_call_their_tools_and_come_to_an_end(person: Person) -> None:
    from e80_sdk.agents.definitions.state import Agent, Message, State
    from e80_sdk.agents.harness import run_agent_async, run_agent_sync, stream_agent_async
    from e80_sdk.agents.toolbox import Toolbox
    from e80_sdk.agents.tools.function import function_tool

    toolbox, asked = Toolbox(), []

    def get_weather(city: str) -> str:
        """Tell the weather."""
        asked.append(city)
        return "sunny"

    tool = function_tool(toolbox=toolbox)(get_weather).get_definition()

    def state() -> State:
        agent = Agent(name="w", model=MODEL, instructions="Help.", tools=[tool])
        return State(agent=agent, message_history=[Message(role="user", content="get_weather of Paris")])

    with sdk(person):
        done = run_agent_sync(state(), toolbox)
        assert (len(asked), bool(done.llm_response.content)) == (1, True)
        assert done.usage.model_usages[0].requests == 2
        asyncio.run(run_agent_async(state(), toolbox))

        async def events() -> list[str]:
            return [event.event_type async for event in stream_agent_async(state(), toolbox)]

        seen = asyncio.run(events())
    assert (seen[:2], seen[-1], len(asked)) == (["tools_called", "tool_result"], "turn_finished", 3)
    assert "llm_delta" in seen


REPORTING = """
from e80_sdk import Eighty80, eighty80_app
from fastapi.testclient import TestClient
from opentelemetry import metrics, trace
from opentelemetry._logs import get_logger_provider

app, api = eighty80_app(), Eighty80().api()


@app.get("/")
def ask() -> str:
    answer = api.v1.chat.completions.create(model="MODEL", messages=[{"role": "user", "content": "hello"}])
    return answer.choices[0].message.content


print(TestClient(app).get("/").json())
for provider in (trace.get_tracer_provider(), metrics.get_meter_provider(), get_logger_provider()):
    assert provider.force_flush()
"""


@ONLY_NEWER
def test_an_apps_spans_and_its_request_are_one_trace(person: Person) -> None:
    done = subprocess.run(
        [sys.executable, "-c", REPORTING.replace("MODEL", MODEL)],
        capture_output=True,
        text=True,
        check=False,
        cwd=person.folder,
        env=person.environment
        | {
            "8080_OTEL_COLLECTOR_URL": f"{API}/otlp",
            "8080_PROJECT_SLUG": "reporting",
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{KEY}",
            "_8080_API_KEY": KEY,
        },
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Failed to export" not in done.stderr
    headers = {"authorization": f"Bearer {KEY}"}
    listed = httpx.get(f"{API}/v1/traces?limit=100", headers=headers).json()["data"]
    traces = [httpx.get(f"{API}/v1/traces/{one['id']}", headers=headers).json() for one in listed]
    (spans,) = [trace["app_spans"] for trace in traces if trace["app_spans"]]
    assert {span["service"] for span in spans} == {"reporting"}
    assert {"GET /", "POST"} <= {span["name"] for span in spans}
