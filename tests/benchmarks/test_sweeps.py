"""What a sweep costs beyond its simulations, and what it keeps in memory for each cell."""

import time  # noqa: TID251 -- CPU time is what is measured
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import pytest

from sim.run import replications
from sim.run.replications import Outcome, Task, simulate
from sim.scenario.load import BASE
from sim.study.store import CellStore
from sim.study.sweep import Cell, Sweep, carry_out, planned
from sim.workers.dask_cluster import DaskCluster
from sim.workers.executor import Executor, Tell
from sim.workers.here import Here
from sim.workers.processes import Processes
from tests.benchmarks.scenarios import ASIC, GPU
from tests.support.dask import two_workers
from tests.support.speeds import Speeds

CELLS, PAIRS = 4, 3
MOST_BYTES = 12_000
"""Of a cell that has not run: its name, its point, and its scenario in short."""


def sweep_of(folder: Path, text: str, seeds: Sequence[int]) -> Sweep:
    file = folder / "scenario.yaml"
    file.write_text(text, encoding="utf-8")
    return planned(file, [f"sweep.grid={{run.seed: {list(seeds)}}}"])


def simulated_s(cells: Sequence[Cell]) -> float:
    """CPU seconds of the bare simulations."""
    tasks = [cell.task("fast").scenario for cell in cells]
    began = time.process_time()
    for scenario in tasks:
        simulate(Task(BASE, scenario, scenario.run.seed, 0, "fast"))
    return time.process_time() - began


def swept_s(folder: Path, text: str, seeds: Sequence[int]) -> float:
    """CPU seconds from the file to the cells on disk."""
    began = time.process_time()
    store = CellStore(folder / f"cells-{seeds[0]}")
    store.prepare()
    with Here() as executor:
        outcome = carry_out(
            sweep_of(folder, text, seeds).cells,
            store,
            executor,
            engine="fast",
            tell=lambda _share, _note: None,
        )
    assert outcome.simulated == len(seeds)
    return time.process_time() - began


@pytest.mark.parametrize(("name", "text"), [("gpu", GPU), ("asic", ASIC)])
def test_what_cells_of_ten_thousand_requests_cost_beyond_their_simulations(
    tmp_path: Path, speeds: Speeds, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    runs: list[Task] = []
    honest = replications.simulate

    def counted(task: Task, tell: Tell) -> Outcome:
        runs.append(task)
        return honest(task, tell)

    monkeypatch.setattr(replications, "simulate", counted)
    swept_s(tmp_path, text, [1])
    ratios, pairs = [], speeds.rounds(PAIRS)
    for pair in range(1, pairs + 1):
        seeds = range(100 * pair, 100 * pair + CELLS)
        swept, bare = swept_s(tmp_path, text, seeds), simulated_s(sweep_of(tmp_path, text, seeds).cells)
        ratios.append(swept / bare - 1)
    assert len(runs) == 1 + pairs * CELLS  # each cell once
    each = ", ".join(f"{ratio:.1%}" for ratio in sorted(ratios))
    speeds.note(f"sweep beyond its simulations ({name})", f"{median(ratios):10.1%} CPU ({each})")


def test_a_cell_that_waits_takes_little_memory(tmp_path: Path, speeds: Speeds) -> None:
    sweep_of(tmp_path, GPU, range(2))
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        sweep = sweep_of(tmp_path, GPU, range(200))
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(sweep.cells) == 200
    assert taken < 200 * MOST_BYTES
    speeds.note("a cell that waits", f"{taken / 200:10,.0f} bytes")


def test_what_a_dask_cluster_takes_beside_local_processes(tmp_path: Path, speeds: Speeds) -> None:
    """Wall time, paired, of two workers each that have started: what a cluster adds to each cell."""

    def wall_s(executor: Executor, seeds: Sequence[int], where: str) -> float:
        store, sweep = CellStore(tmp_path / where), sweep_of(tmp_path, GPU, seeds)
        store.prepare()
        began = time.monotonic()
        outcome = carry_out(sweep.cells, store, executor, engine="fast", tell=lambda _share, _note: None)
        assert outcome.simulated == len(seeds)
        return time.monotonic() - began

    ratios, pairs = [], speeds.rounds(PAIRS)
    with two_workers(tmp_path) as address, DaskCluster(address) as cluster, Processes(2) as local:
        for pair in range(pairs + 1):
            seeds = range(100 * pair, 100 * pair + 2 * CELLS)
            here, there = wall_s(local, seeds, "here"), wall_s(cluster, seeds, "there")
            ratios.append(there / here)
    results = [
        {p.parent.name: p.read_bytes() for p in (tmp_path / where).glob("*/result.json")}
        for where in ("here", "there")
    ]
    assert len(results[0]) == (pairs + 1) * 2 * CELLS
    assert results[0] == results[1]
    ratios = ratios[1:]  # the first has to load everything
    each = ", ".join(f"{ratio:.2f}" for ratio in sorted(ratios))
    speeds.note("Dask, two workers, over two local processes", f"{median(ratios):10.2f} x ({each})")
