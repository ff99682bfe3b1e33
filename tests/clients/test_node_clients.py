"""The client libraries of npm, as `test_python_clients` has those of Python: `make test-clients-node`."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.clients import node_environment

SUITES = sorted((Path(__file__).parent / "suites").glob("*.test.mjs"))
pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: str(suite.name))
def test_the_suite_of_a_client_passes(suite: Path, settings_of: Any) -> None:
    """It is copied to the packages, since that is where node looks for them."""
    folder = node_environment()
    done = subprocess.run(
        ["node", "--test", shutil.copy(suite, folder)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=settings_of("node"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
