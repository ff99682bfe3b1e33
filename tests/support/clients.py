"""Environments of client libraries, which no one environment could hold together."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = ROOT / ".clients"


@cache
def python_of(client: str, *, needed: bool = "CI" in os.environ) -> Path:
    """The interpreter of the environment that holds what `tests/clients/<client>.txt` lists.

    Where it cannot be made the test fails if it is needed, else it is skipped.
    """
    problem = _problem_of("client-environment", sys.executable, CLIENTS, client)
    if problem:
        reason = f"{client} could not be installed: {problem}"
        pytest.fail(reason) if needed else pytest.skip(reason)
    return CLIENTS / client / "bin" / "python"


@cache
def node_environment() -> Path:
    """The folder that holds the packages of `tests/clients/node`."""
    problem = _problem_of("node-environment", CLIENTS / "node")
    assert not problem, problem
    return CLIENTS / "node"


def _problem_of(tool: str, *arguments: str | Path) -> str:
    """The last line that the tool said, if it did not succeed."""
    done = subprocess.run([ROOT / "tools" / tool, *arguments], capture_output=True, text=True, check=False)
    return "".join(done.stderr.strip().splitlines()[-1:]) or "no reason is told" if done.returncode else ""
