"""The clients that people use, each in an environment of its own, against a server: `make test-clients`.

The suites under `suites/` are run by the clients' own interpreters and know nothing of this project.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clients import python_of
from tests.support.served import Served

HERE = Path(__file__).parent
SUITES = HERE / "suites"
CLIENTS = {
    "openai-2": "with_openai.py",
    "openai-3": "with_openai.py",
    "litellm": "with_litellm.py",
    "langchain-openai": "with_langchain.py",
    "openai-agents": "with_agents.py",
    "instructor": "with_instructor.py",
    "pydantic-ai": "with_pydantic_ai.py",
}
"""Environment -> its suite."""
pytestmark = pytest.mark.timeout(1200)  # some environments are half a gigabyte


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    server = Served(HERE / "served.yaml", "--speed", "10", "--state", ":memory:")
    yield server
    server.end()


def settings(served: Served, client: str) -> dict[str, str]:
    """Where the server is and whose key is sent, by the names that all clients look for."""
    return os.environ | {"OPENAI_BASE_URL": f"{served.urls[0]}/v1", "OPENAI_API_KEY": f"sk-{client}"}


@pytest.mark.parametrize("client", CLIENTS)
def test_the_suite_of_a_client_passes(client: str, served: Served) -> None:
    done = subprocess.run(
        [
            python_of(client, needed=True),
            "-m",
            "pytest",
            "-c",
            "pytest.ini",
            "--confcutdir",
            ".",
            CLIENTS[client],
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=SUITES,
        env=settings(served, client),
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_list_of_packages_has_its_suite() -> None:
    assert {file.stem for file in HERE.glob("*.txt")} == CLIENTS.keys()
    assert {file.name for file in SUITES.glob("with_*.py")} == set(CLIENTS.values())
