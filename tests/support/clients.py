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
    problem = _problem_of("client-environment", _interpreter_for(client), CLIENTS, client)
    if problem:
        reason = f"{client} could not be installed: {problem}"
        pytest.fail(reason) if needed else pytest.skip(reason)
    return CLIENTS / client / "bin" / "python"


def _interpreter_for(client: str) -> str:
    """The one that the first line of its list names, if it names one; else that which runs here."""
    first = (ROOT / "tests" / "clients" / f"{client}.txt").read_text().partition("\n")[0]
    if not first.startswith("# python"):
        return sys.executable
    name = first.removeprefix("# ")
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    kept = sorted(pyenv.glob(f"versions/{name.removeprefix('python')}.*/bin/{name}"), reverse=True)
    return next((one for one in (name, *map(str, kept)) if _runs(one)), name)


def _runs(interpreter: str) -> bool:
    """Those of pyenv stand in the path even where they are not to be used."""
    try:
        return subprocess.run([interpreter, "-c", ""], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


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
