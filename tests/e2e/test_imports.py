"""What a command loads: start-up is most of a short one, and one import by chance brings a library back."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCENARIOS = Path(__file__).parents[2] / "scenarios"
OURS = {"api_shim", "e80sim", "hwmodels", "reports", "sim", "traffic"}
SLOW = {
    "pandas",
    "scipy",
    "plotly",
    "fastapi",
    "starlette",
    "asyncio",
    "rich",
    "http",
    "unittest",
    "numpy.ma",
}
"""Of libraries, what neither checks nor runs need."""
WITH_A_RUN = {
    "pyarrow",
    "cloudpickle",
    "simpy",
    "multiprocessing",
    "importlib.metadata",
    "email",
    "zipfile",
}
UNSTATED = {
    "sim.faults.kinds",
    "sim.faults.scaling",
    "sim.scenario.compute",
    "sim.scenario.flow_control",
    "sim.scenario.retries",
    "traffic.agents",
    "traffic.callers",
    "traffic.clients",
    "e80sim.measured",
    "sim.network.explain",
    "traffic.traces.prefix_blocks",
    "traffic.traces.recording",
    "traffic.traces.trace",
    "traffic.traces.formats.table",
    "traffic.walks",
    "sim.callers.agents",
    "sim.callers.closed_loop",
    "sim.callers.recorded",
    "sim.callers.waiting",
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
    assert not modules & (UNSTATED - {"traffic.clients"})
    assert len(ours(modules)) <= 300


def program(code: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """`e80sim ARGUMENTS`, in an interpreter that `code` prepared."""
    command = [
        sys.executable,
        "-c",
        f"{code}\nfrom sim.__main__ import program\nprogram()",
        *map(str, arguments),
    ]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_nobody_reads_the_metadata_of_every_package_for_plugins_that_none_of_our_commands_has() -> None:
    said = "import importlib.metadata as m\nm.entry_points = lambda **_: print('looked for plugins') or ()"
    assert "looked" not in program(said, "check", SCENARIOS / "rate-limits.yaml").stdout


def test_a_plugin_that_the_user_asks_for_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "import importlib.metadata as m\nm.entry_points = lambda **_: print('looked for plugins') or ()"
    monkeypatch.setenv("PYDANTIC_DISABLE_PLUGINS", "another")
    assert "looked" in program(said, "check", SCENARIOS / "rate-limits.yaml").stdout


def test_what_stands_in_for_the_look_for_plugins_gives_all_else_of_pydantic(tmp_path: Path) -> None:
    after = tmp_path / "after.py"
    after.write_text(
        "from pydantic.plugin import _loader\nassert _loader.__spec__ is None\n"
        "from pydantic.plugin._loader import entry_points, get_plugins\nassert not get_plugins()\n"
        "print(entry_points.__module__)\n"
    )
    said = f"import atexit\natexit.register(exec, open({str(after)!r}).read(), {{}})"
    assert program(said, "check", SCENARIOS / "rate-limits.yaml").stdout.endswith("\nimportlib.metadata\n")


def test_no_default_of_a_section_has_pydantic_tokenize_a_signature() -> None:
    said = "import tokenize\ntokenize._tokenize = lambda *_: print('tokenized') or iter(())"
    assert "tokenized" not in program(said, "check", SCENARIOS / "rate-limits.yaml").stdout


def test_the_collector_seldom_looks_and_is_as_it_was_afterwards(tmp_path: Path) -> None:
    code = """
import gc, sys
gc.get_freeze_count = None  # it walks over all that is set aside
from sim.__main__ import main
before, looked = gc.get_threshold(), gc.get_stats()
assert main(sys.argv[1:]) == 0
assert gc.get_threshold() == before and gc.isenabled()
print(sum(now["collections"] - then["collections"] for then, now in zip(looked, gc.get_stats())))
"""
    quick = ["--quiet", "--jobs", "1", "--horizon", "80", "--replications", "1"]
    arguments = ["run", str(SCENARIOS / "rate-limits.yaml"), "--out", str(tmp_path / "run"), *quick]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True
    )
    assert int(done.stdout.splitlines()[-1]) <= 5  # of some 300 modules and a report


def test_a_command_ends_with_what_was_promised_to_happen_at_the_end_and_its_status() -> None:
    promised = "import atexit\natexit.register(lambda: print('the end'))"
    done = program(promised, "check", SCENARIOS / "rate-limits.yaml")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "the end")
    missing = program(promised, "check", SCENARIOS / "there-is-none.yaml")
    assert (missing.returncode, missing.stdout) == (2, "the end\n")
    assert "there-is-none" in missing.stderr


def test_a_command_ends_without_taking_its_memory_apart_object_by_object() -> None:
    kept = "class Kept:\n    def __del__(self): print('taken apart')\nkept = Kept()"
    assert "taken apart" not in program(kept, "check", SCENARIOS / "rate-limits.yaml").stdout


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
