"""The client libraries that people use, each in an environment of its own: `make test-clients`.

The suites under `suites/` are run by the clients' own interpreters and know nothing of this project.
"""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.clients import python_of

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
    "e80-13": ["with_e80.py", "with_e80_platform.py"],
    "e80-14": ["with_e80.py", "with_e80_platform.py"],
}
"""Environment -> its suites."""
pytestmark = pytest.mark.timeout(1200)  # some environments are half a gigabyte


@pytest.mark.parametrize(
    ("client", "suite"), [(client, suite) for client, suites in CLIENTS.items() for suite in suites]
)
def test_the_suite_of_a_client_passes(client: str, suite: str, settings_of: Any) -> None:
    done = subprocess.run(
        [
            python_of(client, needed=True),
            "-m",
            "pytest",
            "-c",
            "pytest.ini",
            "--confcutdir",
            ".",
            suite,
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=SUITES,
        env=settings_of(client),
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_list_of_packages_has_its_suite() -> None:
    assert {file.stem for file in HERE.glob("*.txt")} == CLIENTS.keys()
    assert {file.name for file in SUITES.glob("with_*.py")} == {
        suite for suites in CLIENTS.values() for suite in suites
    }
