"""Measures simulators that the registry has against this one: `make peers`, a GB of packages, half an hour.

Writes docs/data/peers.json, from which docs/performance.md has its section. `--out` writes elsewhere.
"""

import argparse
import json
import platform
import shutil
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from docs.peers.measure import cost_of
from docs.peers.peers import ROWS, Job, Row
from docs.peers.table import DATA, section
from docs.peers.workload import drawn, write_formats
from hwmodels.node_hardware import NodeHardware

ROOT = Path(__file__).parents[2]
WORK = ROOT / ".peers"
SIZES = (10_000, 100_000)
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Workload:
    requests: int
    folder: Path
    hardware: NodeHardware


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m docs.peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--requests", type=int, nargs="+", default=SIZES)
    parser.add_argument("--rows", nargs="+", choices=[row.name for row in ROWS], help="default: all")
    parser.add_argument("--machine", default="A machine of " + platform.machine(), help="in plain words")
    parser.add_argument("--out", type=Path, default=DATA)
    asked = parser.parse_args()
    rows = [row for row in ROWS if asked.rows is None or row.name in asked.rows]
    pythons = {row.package: python_with(row.package) for row in rows}
    runs = WORK / "runs"
    shutil.rmtree(runs, ignore_errors=True)
    workloads = {}
    for requests in asked.requests:
        folder = runs / str(requests)
        hardware = write_formats(drawn(requests), folder)
        workload = Workload(requests, folder, hardware)
        workloads[str(requests)] = measured(workload, rows, pythons, asked.rounds)
    told = {
        "machine": asked.machine,
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "versions": {"e80sim": own_version()} | dict(row.package.split("==") for row in rows if row.package),
        "workloads": workloads,
    }
    asked.out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(section(told) + "\n")


def own_version() -> str:
    """As the program says it itself."""
    asked = [sys.executable, "-m", "sim", "--version"]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout  # noqa: S603 -- words of ours
    return said.strip().removeprefix("e80sim ").replace("\n", ", ")


def python_with(package: str) -> Path:
    """The interpreter of an environment with this and what it needs, made when first asked for."""
    if not package:
        return Path(sys.executable)
    folder = WORK / package
    ready = folder / ".ready"
    if not ready.exists():
        say(f"installing {package}")
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)  # noqa: S603 -- words of ours
        pip: list[str | Path] = [
            folder / "bin" / "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            package,
        ]
        subprocess.run(pip, check=True)  # noqa: S603 -- as above
        ready.touch()
    return folder / "bin" / "python"


def measured(workload: Workload, rows: list[Row], pythons: dict[str, Path], rounds: int) -> dict[str, Any]:
    """By row. A first run of each, not counted, fills the caches of files."""
    costs: dict[str, dict[str, Any]] = {row.name: defaultdict(list) for row in rows}
    for number in range(rounds + 1):
        for row in rows:
            out = workload.folder / "out"
            out.mkdir()
            job = Job(pythons[row.package], workload.folder, out, workload.hardware)
            cost = cost_of(row.command(job), out / "said.txt")
            outcome = row.outcome(out)._asdict()
            shutil.rmtree(out)
            costs[row.name]["repeats"] = costs[row.name].setdefault("outcome", outcome) == outcome
            say(f"{workload.requests:,} requests, round {number}, {row.name}: {cost.cpu_s:.2f} s of CPU")
            if number:
                for name, value in cost._asdict().items():
                    costs[row.name][name].append(round(value, 3))
    return costs


def say(what: str) -> None:
    sys.stderr.write(f"{what}\n")


if __name__ == "__main__":
    main()
