"""The compiled build and the sources leave the same files, whatever the scenario.

One process of each build runs all scenarios. `make compiled-equality` compiles first.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from e80sim.build import ROOT

NO_RUNS = {"azure-trace", "live", "node-ports", "sweep-gpu-nodes"}
"""Of a file that is not here, served, or many cells."""
SCENARIOS = sorted(path.stem for path in (ROOT / "scenarios").glob("*.yaml") if path.stem not in NO_RUNS)
ALLOWED = {"build", "created", "wall_s"}
"""What tells one run from another in its manifest."""
RUN_ALL = """
import sys
from sim.__main__ import main
for name in sys.argv[2:]:
    horizon_s = "70" if name == "faults" else "20"  # the first comes after a minute
    options = ["--replications", "1", "--horizon", horizon_s, "--jobs", "1", "--quiet"]
    options += ["--set", "run.warm_up_s=2"]
    assert main(["run", f"scenarios/{name}.yaml", "--out", f"{sys.argv[1]}/{name}", *options]) == 0, name
"""


@pytest.fixture(scope="module")
def runs(
    environments: dict[str, dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The folder with all runs, by build."""
    folders = {kind: tmp_path_factory.mktemp(kind) for kind in environments}
    running = {kind: _run(environment, folders[kind]) for kind, environment in environments.items()}
    said = {kind: process.communicate(timeout=280)[1] for kind, process in running.items()}
    assert {kind: process.returncode for kind, process in running.items()} == dict.fromkeys(running, 0), said
    return folders


def _run(environment: dict[str, str], folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", RUN_ALL, str(folder), *SCENARIOS]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def _manifest(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("name", SCENARIOS)
def test_both_builds_leave_the_same_files(runs: dict[str, Path], name: str) -> None:
    pure, compiled = runs["pure"] / name, runs["compiled"] / name
    files = {path.name for path in compiled.iterdir()}
    assert files == {path.name for path in pure.iterdir()}
    assert {"requests.parquet", "summary.json"} <= files
    for file in sorted(files - {"manifest.json", "report.html"}):  # which tell when they were made
        assert (pure / file).read_bytes() == (compiled / file).read_bytes(), file
    one, other = _manifest(pure), _manifest(compiled)
    assert {key for key in one if one[key] != other.get(key)} <= ALLOWED
    assert (one["build"], other["build"]) == ("pure: E80SIM_PURE is set", "compiled")
