"""What a command costs beside its work: CPU of whole processes, as a multiple of what libraries take."""

import os
import subprocess
import sys
from pathlib import Path
from statistics import median

from tests.e2e.test_imports import SCENARIOS, loaded_by, ours
from tests.support.speeds import Speeds

PAIRS = 5
FLOOR = ("-c", "import numpy, pydantic, typer, yaml")
CHECK = ("-m", "sim", "check", str(SCENARIOS / "rate-limits.yaml"))
RUN = ("-m", "sim", "run", str(SCENARIOS / "rate-limits.yaml"), "--quiet", "--jobs", "1", "--horizon", "80")


def cpu_s(*arguments: str) -> float:
    """Of one process and of those that it waits for, from its start to its end."""
    before = os.times()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def test_a_check_and_a_short_run_beside_the_libraries_that_they_load(speeds: Speeds, tmp_path: Path) -> None:
    assert len(ours(loaded_by(*CHECK[2:]))) <= 100  # it was 178
    ratios: dict[str, list[float]] = {"check": [], "a short run, with the report": []}
    cpu_s(*CHECK)
    for turn in range(speeds.rounds(PAIRS)):
        floor_s = cpu_s(*FLOOR)
        out = ("--replications", "1", "--out", str(tmp_path / f"{turn}"))
        for name, arguments in zip(ratios, (CHECK, (*RUN, *out)), strict=True):
            ratios[name].append(cpu_s(*arguments) / floor_s)
    for name, found in ratios.items():
        told = f"{median(found):.2f} times ({min(found):.2f} to {max(found):.2f}) numpy, pydantic and so on"
        speeds.note(f"start to exit, {name}", told)
