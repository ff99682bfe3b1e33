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
    tool = subprocess.run(
        [ROOT / "tools" / "client-environment", sys.executable, CLIENTS, client],
        capture_output=True,
        text=True,
        check=False,
    )
    if tool.returncode:
        reason = f"{client} could not be installed: {tool.stderr.strip().splitlines()[-1:]}"
        pytest.fail(reason) if needed else pytest.skip(reason)
    return CLIENTS / client / "bin" / "python"
