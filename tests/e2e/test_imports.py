"""What a command loads: start-up is most of a short one, and one import by chance brings a library back."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCENARIOS = Path(__file__).parents[2] / "scenarios"
OURS = {"api_shim", "e80sim", "hwmodels", "reports", "sim", "traffic"}
SLOW = {"pandas", "scipy", "plotly", "fastapi", "starlette", "asyncio", "rich", "http", "unittest"}
"""Of libraries, what neither checks nor runs need."""
WITH_A_RUN = {"pyarrow", "cloudpickle", "simpy", "multiprocessing"}
UNSTATED = {
    "sim.faults.kinds",
    "sim.faults.scaling",
    "sim.scenario.compute",
    "sim.scenario.flow_control",
    "sim.scenario.retries",
    "traffic.agents",
    "traffic.callers",
    "traffic.clients",
    "traffic.traces.formats.table",
}
"""Modules of sections that the scenarios here do without."""
LOADED = """
import json, sys
from sim.__main__ import main
assert main(sys.argv[1:]) == 0
print(json.dumps(sorted(sys.modules)))
"""


def loaded_by(*arguments: str | Path) -> set[str]:
    command = [sys.executable, "-c", LOADED, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def ours(modules: set[str]) -> set[str]:
    return {name for name in modules if name.partition(".")[0] in OURS}


@pytest.mark.parametrize("scenario", ["edge-vs-cloud.yaml", "rate-limits.yaml"])
def test_a_check_loads_nothing_that_simulates_records_or_reads_what_is_not_there(scenario: str) -> None:
    modules = loaded_by("check", SCENARIOS / scenario)
    assert not modules & {*SLOW, *WITH_A_RUN}
    assert not modules & UNSTATED
    assert len(ours(modules)) <= 100


def test_a_run_loads_none_of_the_slow_libraries(tmp_path: Path) -> None:
    quick = ["--quiet", "--jobs", "1", "--horizon", "80", "--replications", "1"]
    modules = loaded_by("run", SCENARIOS / "rate-limits.yaml", "--out", tmp_path / "run", *quick)
    assert not modules & SLOW
    assert not modules & {name for name in UNSTATED if name.startswith("sim.")}
    assert len(ours(modules)) <= 310


def test_columns_go_back_to_the_system_and_to_whoever_chose_otherwise() -> None:
    code = """
import sys
from sim.__main__ import main
assert main(["check", sys.argv[1]]) == 0
import pyarrow
print(pyarrow.default_memory_pool().backend_name)
"""

    def pool(**chosen: str) -> str:
        command = [sys.executable, "-c", code, str(SCENARIOS / "rate-limits.yaml")]
        unset = {name: value for name, value in os.environ.items() if name != "ARROW_DEFAULT_MEMORY_POOL"}
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=unset | chosen)
        return done.stdout.splitlines()[-1]

    assert pool() == "system"
    assert pool(ARROW_DEFAULT_MEMORY_POOL="mimalloc") == "mimalloc"
