"""The client libraries that people use, each in an environment of its own: `make test-clients`.

The suites under `suites/` are run by the clients' own interpreters and know nothing of this project.
"""

import subprocess
import time  # noqa: TID251 -- the app reports in real time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.clients import python_of
from tests.support.served import Served

HERE = Path(__file__).parent
SUITES = HERE / "suites"
CLIENTS = {
    "openai-2": ["with_openai.py"],
    "openai-3": ["with_openai.py"],
    "litellm": ["with_litellm.py"],
    "langchain-openai": ["with_langchain.py"],
    "openai-agents": ["with_agents.py"],
    "instructor": ["with_instructor.py"],
    "pydantic-ai": ["with_pydantic_ai.py"],
    "e80-11": ["with_e80_platform.py"],
    "e80-13": ["with_e80.py", "with_e80_platform.py", "with_8080_guides.py"],
    "e80-14": ["with_e80.py", "with_e80_platform.py", "with_8080_guides.py"],
}
"""Environment -> its suites."""
ROUTERS = {
    "litellm": "with_litellm_router.py",
    "mvllm": "with_mvllm.py",
    "vllm-router": "with_vllm_router.py",
}
"""Environment -> its suite, over nodes that have ports of their own."""
READERS = {"perfetto": "with_perfetto.py"}
"""Environment -> its suite, over files that we write: `test_perfetto.py`."""
CHAT = "/v1/chat/completions"
BODY = {
    "model": "8080/taalas/llama3.1-8b-instruct",
    "messages": [{"role": "user", "content": "hello"}],
}
PATIENCE_S = 60.0
pytestmark = pytest.mark.timeout(1200)  # some environments are half a gigabyte


@pytest.mark.parametrize(
    ("client", "suite"), [(client, suite) for client, suites in CLIENTS.items() for suite in suites]
)
def test_the_suite_of_a_client_passes(client: str, suite: str, settings_of: Any) -> None:
    run_suite(client, suite, settings_of(client))


@pytest.mark.parametrize(("router", "suite"), ROUTERS.items())
def test_a_router_balances_over_nodes(router: str, suite: str, nodes_behind: dict[str, str]) -> None:
    run_suite(router, suite, nodes_behind)


def run_suite(client: str, suite: str, environment: dict[str, str]) -> None:
    python = python_of(client, needed=True)
    done = subprocess.run(
        [python, "-m", "pytest", "-c", "pytest.ini", "--confcutdir", ".", suite],
        capture_output=True,
        text=True,
        check=False,
        cwd=SUITES,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_app_of_the_sdk_is_served_and_its_user_it_and_its_model_are_one_trace() -> None:
    """On the server's own Edge, which tells it where the API and the collector are."""
    python = python_of("e80-14", needed=True)
    options = ("--state", ":memory:", "--trace-sample", "1", "--app-python", str(python))
    server = Served(HERE / "served.yaml", *options, "--app", str(HERE / "app"))
    try:
        with httpx.Client(base_url=server.urls[0], headers={"authorization": "Bearer sk-e80-14"}) as user:
            answer = user.post("/hosted/e80-14/v1/chat/completions", json=BODY, timeout=PATIENCE_S)
            assert answer.json()["choices"][0]["message"]["content"]
            until_s = time.monotonic() + PATIENCE_S  # it reports every five seconds
            while not (spans := _spans(user)) and time.monotonic() < until_s:
                time.sleep(0.2)
    finally:
        server.end()
    (of_app, of_model) = spans
    assert of_app == of_model
    assert of_app == ["POST /v1/chat/completions", "POST"]


def _spans(user: httpx.Client) -> list[list[str]]:
    """What the app reported beside each of the two requests; nothing as long as it or a trace is missing.

    A trace is filed after the last byte of the answer, so who has just read that may come too early.
    """
    listed = user.get("/v1/traces").json()["data"]
    if {one["endpoint"] for one in listed} != {"/hosted/e80-14" + CHAT, CHAT}:
        return []
    traces = [user.get(f"/v1/traces/{one['id']}").json()["app_spans"] for one in listed]
    return [[span["name"] for span in spans] for spans in traces if len(spans) == 2]


def test_each_list_of_packages_has_its_suite() -> None:
    assert {file.stem for file in HERE.glob("*.txt")} == CLIENTS.keys() | ROUTERS.keys() | READERS.keys()
    suites = {suite for suites in CLIENTS.values() for suite in suites}
    assert {file.name for file in SUITES.glob("with_*.py")} == suites | {*ROUTERS.values(), *READERS.values()}
